import { createHistogram, type Histogram, type Registry, type Series } from '@countersign/service-kit';
import { Counter } from 'prom-client';
import type { RequestRecord } from '../pipeline/request-record.ts';

/** Counts one finished request. */
export type CountRequest = (record: RequestRecord, status: number, durationMs: number) => void;

export type RequestMetrics = Readonly<{
  count: CountRequest;
  durations: Histogram<'route' | 'status'>;
  upstreamDurations: Histogram<'upstream'>;
}>;

export function createRequestMetrics(registry: Registry): RequestMetrics {
  const seconds = createHistogram({
    name: 'countersign_request_duration_seconds',
    help: 'From the request read to the response finished, by route and status.',
    labelNames: ['route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registry,
  });
  const refusals = new Counter({
    name: 'countersign_refusals_total',
    help: 'Requests that the gateway refused, by error code and by whose fault it was.',
    labelNames: ['code', 'fault'],
    registers: [registry],
  });
  const upstreamSeconds = createHistogram({
    name: 'countersign_upstream_duration_seconds',
    help: 'From the signed request sent to the start of the response.',
    labelNames: ['upstream'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registry,
  });
  const seriesOf = seriesByRouteAndStatus(seconds);
  const upstreams = new Map<string, Series>();

  function seriesOfUpstream(upstream: string): Series {
    let series = upstreams.get(upstream);
    if (series === undefined) {
      series = upstreamSeconds.series({ upstream });
      upstreams.set(upstream, series);
    }
    return series;
  }

  function count(record: RequestRecord, status: number, durationMs: number): void {
    seriesOf(record.route ?? 'none', status).observe(durationMs / 1000);
    if (record.code !== undefined) refusals.inc({ code: record.code, fault: record.fault ?? 'ours' });
    if (record.upstreamMs !== undefined) seriesOfUpstream(record.upstream ?? 'none').observe(record.upstreamMs / 1000);
  }
  return { count, durations: seconds, upstreamDurations: upstreamSeconds };
}

/** Finds a series without making a key of the two values. */
function seriesByRouteAndStatus(histogram: Histogram<'route' | 'status'>): (route: string, status: number) => Series {
  const routes = new Map<string, Map<number, Series>>();
  return (route, status) => {
    let statuses = routes.get(route);
    if (statuses === undefined) {
      statuses = new Map();
      routes.set(route, statuses);
    }
    let series = statuses.get(status);
    if (series === undefined) {
      series = histogram.series({ route, status: String(status) });
      statuses.set(status, series);
    }
    return series;
  };
}

/** @returns Records how long one revocation took to come into force. Its quantiles check the promise of one second. */
export function createRevocationLagMetric(registry: Registry): (issuer: string, lagMs: number) => void {
  const seconds = createHistogram({
    name: 'countersign_revocation_lag_seconds',
    help: 'From the whole second at which a revocation takes effect, up to 1 s after it was written, until it is in force here.',
    labelNames: ['issuer'],
    buckets: [0.001, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60],
    registry,
  });
  const issuers = new Map<string, Series>();
  return (issuer, lagMs) => {
    const series = issuers.get(issuer) ?? seconds.series({ issuer });
    issuers.set(issuer, series);
    series.observe(lagMs / 1000);
  };
}
