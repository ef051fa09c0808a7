import type { Logger, Registry } from '@countersign/service-kit';
import { Counter, Histogram } from 'prom-client';
import type { RequestRecord } from '../exchange.ts';

/** Writes the request's one log line and counts it. Called once, when it is over however it ended. */
export type Observe = (record: RequestRecord, outcome: Readonly<{ status: number; aborted: boolean }>) => void;

export function createObserve(logger: Logger, registry: Registry): Observe {
  const seconds = new Histogram({
    name: 'countersign_request_duration_seconds',
    help: 'From the request read to its answer finished, by route and status.',
    labelNames: ['route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [registry],
  });
  const refusals = new Counter({
    name: 'countersign_refusals_total',
    help: 'Requests that the gateway answered itself, by code and by whose fault it was.',
    labelNames: ['code', 'fault'],
    registers: [registry],
  });
  const upstreamSeconds = new Histogram({
    name: 'countersign_upstream_duration_seconds',
    help: 'From a signed request sent to the beginning of the answer.',
    labelNames: ['upstream'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers: [registry],
  });

  return (record, { status, aborted }) => {
    const durationMs = performance.now() - record.startedAt;
    seconds.observe({ route: record.route ?? 'none', status: String(status) }, durationMs / 1000);
    if (record.code !== undefined) refusals.inc({ code: record.code, fault: record.fault ?? 'ours' });
    if (record.upstreamMs !== undefined) {
      upstreamSeconds.observe({ upstream: record.upstream ?? 'none' }, record.upstreamMs / 1000);
    }
    const line = {
      request_id: record.requestId,
      method: record.method,
      path: record.path,
      status,
      route: record.route,
      rule: record.rule,
      code: record.code,
      fault: record.fault,
      // Nothing that is configured wrongly mends itself: a key, a clock or a certificate inside needs somebody.
      alarm: record.fault === 'configuration' ? record.code : undefined,
      detail: record.detail,
      err: record.err,
      identity: record.identity,
      user_id: record.userId,
      service_id: record.serviceId,
      transaction_id: record.transactionId,
      tenant_id: record.tenantId,
      ip: record.address,
      upstream: record.upstream,
      target: record.target,
      attempts: record.attempts,
      retried_after: record.retriedAfter,
      duration_ms: rounded(durationMs),
      decided_ms: rounded(record.decidedMs),
      waited_ms: rounded(record.waitedMs),
      upstream_ms: rounded(record.upstreamMs),
      ...(aborted && { aborted }),
    };
    if (status >= 500) logger.error(line, 'request');
    else logger.info(line, 'request');
  };
}

const rounded = (ms: number | undefined): number | undefined =>
  ms === undefined ? undefined : Math.round(ms * 100) / 100;
