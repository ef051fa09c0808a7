import type { Registry } from '@countersign/service-kit';
import { Counter, Histogram } from 'prom-client';
import type { RequestRecord } from '../exchange.ts';

/** Counts one finished request. */
export type CountRequest = (record: RequestRecord, status: number, durationMs: number) => void;

export function createRequestMetrics(registry: Registry): CountRequest {
  const seconds = new Histogram({
    name: 'countersign_request_duration_seconds',
    help: 'From the request read to the response finished, by route and status.',
    labelNames: ['route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [registry],
  });
  const refusals = new Counter({
    name: 'countersign_refusals_total',
    help: 'Requests that the gateway refused, by error code and by whose fault it was.',
    labelNames: ['code', 'fault'],
    registers: [registry],
  });
  const upstreamSeconds = new Histogram({
    name: 'countersign_upstream_duration_seconds',
    help: 'From the signed request sent to the start of the response.',
    labelNames: ['upstream'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers: [registry],
  });
  return (record, status, durationMs) => {
    seconds.observe({ route: record.route ?? 'none', status: String(status) }, durationMs / 1000);
    if (record.code !== undefined) refusals.inc({ code: record.code, fault: record.fault ?? 'ours' });
    if (record.upstreamMs !== undefined) {
      upstreamSeconds.observe({ upstream: record.upstream ?? 'none' }, record.upstreamMs / 1000);
    }
  };
}

/** @returns Records how long one revocation took to come into force. Its quantiles check the promise of one second. */
export function createRevocationLagMetric(registry: Registry): (issuer: string, lagMs: number) => void {
  const seconds = new Histogram({
    name: 'countersign_revocation_lag_seconds',
    help: 'From the whole second at which a revocation takes effect, up to 1 s after it was written, until it is in force here.',
    labelNames: ['issuer'],
    buckets: [0.001, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60],
    registers: [registry],
  });
  return (issuer, lagMs) => seconds.observe({ issuer }, lagMs / 1000);
}
