import { LRUCache } from 'lru-cache';
import type { RequestMetrics, Series } from './metrics.ts';
import type { RefusalCount, RefusalCounts } from './refusal-counts.ts';
import { TimeSlots } from './time-slots.ts';

const responseClasses = ['1xx', '2xx', '3xx', '4xx', '5xx', 'none'] as const;
/** `service`: responses with 5xx of the services themselves. The others are the gateway's refusals. */
const failureKinds = ['caller', 'configuration', 'capacity', 'upstream', 'ours', 'service'] as const;

type ResponseClass = (typeof responseClasses)[number];
type FailureKind = (typeof failureKinds)[number];

/** How long requests took in each slice of time. */
export type DurationSeries = Readonly<{
  startMs: number;
  stepMs: number;
  /** The upper bounds of the buckets. */
  boundsMs: readonly number[];
  /** For each bucket, and a last one for longer requests, the count of each slice. The oldest slice is first. */
  durations: readonly (readonly number[])[];
}>;

/** What happened in each slice of the last hour. */
export type TrafficSeries = DurationSeries &
  Readonly<{
    /** By the class of the status. `none`: the client left before the response started. */
    responses: Readonly<Record<ResponseClass, readonly number[]>>;
    failures: Readonly<Record<FailureKind, readonly number[]>>;
  }>;

/** What the metrics count anyway. */
export type TrafficHistoryOptions = Pick<RequestMetrics, 'durations' | 'upstreamDurations'> &
  Readonly<{ refusals: RefusalCounts }>;

const hourMs = 3_600_000;
const ofProcess = { stepMs: 10_000, length: hourMs / 10_000 };
const ofRoute = { stepMs: 60_000, length: hourMs / 60_000 };
/** Routes and upstreams with a history of their own, 6 KiB each: the ones with requests most recently. */
const maxHistories = 1_000;
const firstBucket = responseClasses.length + failureKinds.length;

/**
 * The traffic of the last hour: of the process, of each route and of each upstream. It reads the counts of the metrics
 * and keeps the differences, so requests pay nothing for it.
 */
export class TrafficHistory {
  readonly #options: TrafficHistoryOptions;
  readonly #all: TimeSlots;
  readonly #routes = new LRUCache<string, TimeSlots>({ max: maxHistories });
  readonly #upstreams = new LRUCache<string, TimeSlots>({ max: maxHistories });
  readonly #columns: number;
  readonly #seen = new Map<Series, Readonly<{ sum: number; counts: readonly number[] }>>();
  readonly #seenRefusals = new Map<Readonly<RefusalCount>, Readonly<{ count: number; serverErrors: number }>>();

  constructor(options: TrafficHistoryOptions) {
    this.#options = options;
    this.#columns = firstBucket + options.durations.buckets.length + 1;
    this.#all = new TimeSlots({ ...ofProcess, columns: this.#columns });
  }

  /** Adds what was counted since the last call to the current slice. Called every ten seconds, and before a reading. */
  sample(nowMs: number): void {
    const { durations, upstreamDurations, refusals } = this.#options;
    for (const series of durations.all) {
      const { route = '', status = '' } = series.labels;
      this.#addedTo(series, (bucket, added) => {
        this.#addToRoute(route, firstBucket + bucket, added, nowMs);
        this.#addToRoute(route, responseClasses.indexOf(classOf(status)), added, nowMs);
        if (status >= '500') this.#addToRoute(route, columnOf('service'), added, nowMs);
      });
    }
    for (const [route, codes] of refusals.routes()) {
      for (const refused of codes.values()) this.#addRefusals(route, refused, nowMs);
    }
    const columns = upstreamDurations.buckets.length + 1;
    for (const series of upstreamDurations.all) {
      this.#addedTo(series, (bucket, added) => {
        slotsIn(this.#upstreams, series.labels.upstream ?? '', columns).add(nowMs, bucket, added);
      });
    }
  }

  ofProcess(nowMs: number): TrafficSeries {
    this.sample(nowMs);
    return trafficIn(this.#all, nowMs, this.#options.durations.buckets);
  }

  ofRoute(route: string, nowMs: number): TrafficSeries {
    this.sample(nowMs);
    const slots = this.#routes.peek(route) ?? new TimeSlots({ ...ofRoute, columns: this.#columns });
    return trafficIn(slots, nowMs, this.#options.durations.buckets);
  }

  /** From the signed request sent to the start of the response. */
  ofUpstream(upstream: string, nowMs: number): DurationSeries {
    this.sample(nowMs);
    const { buckets } = this.#options.upstreamDurations;
    const slots = this.#upstreams.peek(upstream) ?? new TimeSlots({ ...ofRoute, columns: buckets.length + 1 });
    const { startMs, columns } = slots.read(nowMs);
    return { startMs, stepMs: slots.stepMs, boundsMs: inMs(buckets), durations: columns };
  }

  /** The requests of each route by status, since the process started. Status 0: the client left before the response. */
  statuses(): ReadonlyMap<string, ReadonlyMap<string, number>> {
    const byRoute = new Map<string, Map<string, number>>();
    for (const { labels, counts } of this.#options.durations.all) {
      const { route = '', status = '' } = labels;
      const statuses = byRoute.get(route) ?? new Map<string, number>();
      byRoute.set(route, statuses);
      statuses.set(
        status,
        counts.reduce((sum, count) => sum + count, 0),
      );
    }
    return byRoute;
  }

  #addedTo(series: Series, report: (bucket: number, added: number) => void): void {
    const seen = this.#seen.get(series);
    if (series.sum === seen?.sum) return;
    for (const [bucket, count] of series.counts.entries()) {
      const added = count - (seen?.counts[bucket] ?? 0);
      if (added > 0) report(bucket, added);
    }
    this.#seen.set(series, { sum: series.sum, counts: [...series.counts] });
  }

  #addRefusals(route: string, refused: Readonly<RefusalCount>, nowMs: number): void {
    const { fault, count, serverErrors } = refused;
    const seen = this.#seenRefusals.get(refused) ?? { count: 0, serverErrors: 0 };
    if (count === seen.count) return;
    this.#addToRoute(route, columnOf(fault as FailureKind), count - seen.count, nowMs);
    // `service` has all responses with 5xx so far. Those of the gateway are no failures of the service.
    this.#addToRoute(route, columnOf('service'), seen.serverErrors - serverErrors, nowMs);
    this.#seenRefusals.set(refused, { count, serverErrors });
  }

  #addToRoute(route: string, column: number, count: number, nowMs: number): void {
    this.#all.add(nowMs, column, count);
    slotsIn(this.#routes, route, this.#columns).add(nowMs, column, count);
  }
}

function slotsIn(all: LRUCache<string, TimeSlots>, name: string, columns: number): TimeSlots {
  let slots = all.get(name);
  if (slots === undefined) {
    slots = new TimeSlots({ ...ofRoute, columns });
    all.set(name, slots);
  }
  return slots;
}

const columnOf = (kind: FailureKind): number => responseClasses.length + failureKinds.indexOf(kind);

const classOf = (status: string): ResponseClass =>
  responseClasses.find((name) => name.charAt(0) === status.charAt(0)) ?? 'none';

const inMs = (seconds: readonly number[]): number[] => seconds.map((bound) => bound * 1000);

function trafficIn(slots: TimeSlots, nowMs: number, buckets: readonly number[]): TrafficSeries {
  const { startMs, columns } = slots.read(nowMs);
  const named = <Name extends string>(names: readonly Name[], from: number) =>
    Object.fromEntries(names.map((name, at) => [name, columns[from + at] ?? []])) as Record<Name, readonly number[]>;
  return {
    startMs,
    stepMs: slots.stepMs,
    responses: named(responseClasses, 0),
    failures: named(failureKinds, responseClasses.length),
    boundsMs: inMs(buckets),
    durations: columns.slice(firstBucket),
  };
}
