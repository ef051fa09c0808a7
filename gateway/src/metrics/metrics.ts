import type { Registry } from '@countersign/process-kit';
import { Counter, Histogram as PromHistogram } from 'prom-client';
import { errorTable } from '../errors.ts';
import type { RequestRecord } from '../pipeline/request-record.ts';

/** The observations for one set of label values. prom-client exports them; the console reads these counts. */
export class Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly #bounds: readonly number[];
  readonly #exported: Pick<PromHistogram.Internal<string>, 'observe'>;
  /** One count per bucket, and one for larger values at the end. Excludes streams. */
  readonly counts: number[];
  /** How many streams and WebSockets ended. Their duration says nothing about latency. */
  streams = 0;
  sum = 0;

  constructor(labels: Readonly<Record<string, string>>, bounds: readonly number[], exported: PromHistogram) {
    this.labels = labels;
    this.#bounds = bounds;
    this.#exported = exported.labels(labels);
    this.counts = new Array<number>(bounds.length + 1).fill(0);
  }

  observeStream(value: number): void {
    this.streams += 1;
    this.sum += value;
    this.#exported.observe(value);
  }

  observe(value: number): void {
    const bounds = this.#bounds;
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket += 1;
    this.counts[bucket] = (this.counts[bucket] as number) + 1;
    this.sum += value;
    this.#exported.observe(value);
  }
}

export type HistogramOptions = Readonly<{
  name: string;
  help: string;
  /** The second label, if there is one, is a status. */
  labelNames: readonly [string, 'status'?];
  /** Upper bounds in ascending order, without infinity. */
  buckets: readonly number[];
  registry: Registry;
}>;

/** A histogram whose counts the console can read. Finds a series without allocating a key or an object. */
export class Histogram {
  readonly buckets: readonly number[];
  readonly all: Series[] = [];
  readonly #labelNames: HistogramOptions['labelNames'];
  readonly #exported: PromHistogram;
  readonly #series = new Map<string, Map<number, Series>>();

  constructor({ name, help, labelNames, buckets, registry }: HistogramOptions) {
    this.buckets = buckets;
    this.#labelNames = labelNames;
    this.#exported = new PromHistogram({
      name,
      help,
      labelNames: labelNames as readonly string[],
      buckets: [...buckets],
      registers: [registry],
    });
  }

  /** @param label The first label's value. */
  of(label: string, status = 0): Series {
    let byStatus = this.#series.get(label);
    if (byStatus === undefined) {
      byStatus = new Map();
      this.#series.set(label, byStatus);
    }
    let series = byStatus.get(status);
    if (series === undefined) {
      const [first, second] = this.#labelNames;
      const labels = { [first]: label, ...(second && { [second]: String(status) }) };
      series = new Series(labels, this.buckets, this.#exported);
      byStatus.set(status, series);
      this.all.push(series);
    }
    return series;
  }
}

export type RequestMetrics = ReturnType<typeof createRequestMetrics>;

export function createRequestMetrics(registry: Registry) {
  const durations = new Histogram({
    name: 'countersign_request_duration_seconds',
    help: 'Time from reading a request to finishing its response, by route and status.',
    labelNames: ['route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registry,
  });
  const refusals = new Counter({
    name: 'countersign_refusals_total',
    help: 'Requests that the gateway refused, by error code and whose fault it was.',
    labelNames: ['code', 'fault'],
    registers: [registry],
  });
  // Set from the start, because Prometheus' rate() misses the first refusal if a counter begins at 1.
  for (const [code, { fault }] of Object.entries(errorTable)) refusals.inc({ code, fault }, 0);
  const upstreamDurations = new Histogram({
    name: 'countersign_upstream_duration_seconds',
    help: 'Time from sending the signed request to the start of the response.',
    labelNames: ['upstream'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registry,
  });
  return {
    durations,
    upstreamDurations,
    count(record: RequestRecord, status: number): void {
      const { route = 'none', upstream = 'none', code, fault = 'ours', durationMs, upstreamMs } = record;
      const series = durations.of(route, status);
      if (record.isStream) series.observeStream(durationMs / 1000);
      else series.observe(durationMs / 1000);
      if (code !== undefined) refusals.inc({ code, fault });
      if (upstreamMs !== undefined) upstreamDurations.of(upstream).observe(upstreamMs / 1000);
    },
  };
}

/** Observes how long revocations took. The quantiles check the promise of one second. */
export function createRevocationLagMetric(registry: Registry): (issuer: string, lagMs: number) => void {
  const seconds = new Histogram({
    name: 'countersign_revocation_lag_seconds',
    help: "Time from a revocation's start (the next whole second after it was written) until this gateway enforces it.",
    labelNames: ['issuer'],
    buckets: [0.001, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60],
    registry,
  });
  return (issuer, lagMs) => seconds.of(issuer).observe(lagMs / 1000);
}
