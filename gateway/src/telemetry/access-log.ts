import type { Logger } from '@countersign/service-kit';
import type { RequestRecord } from '../exchange.ts';
import type { CountRequest } from './metrics.ts';

/** Logs and counts one request. Called once, when the request is over, however it ended. */
export type LogRequest = (record: RequestRecord, outcome: Readonly<{ status: number; aborted: boolean }>) => void;

export function createAccessLog(logger: Logger, countRequest: CountRequest): LogRequest {
  return (record, { status, aborted }) => {
    const durationMs = performance.now() - record.startedAt;
    countRequest(record, status, durationMs);
    const line = {
      request_id: record.requestId,
      method: record.method,
      path: record.path,
      status,
      route: record.route,
      rule: record.rule,
      code: record.code,
      fault: record.fault,
      // A wrong key, clock or certificate inside the deployment stays wrong until an operator fixes it.
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
