import { createLineWriter, type Logger } from '@countersign/service-kit';
import type { RequestRecord } from '../pipeline/request-record.ts';
import type { CountRequest } from './metrics.ts';
import type { Traffic } from './traffic.ts';

/** Logs and counts one request. Called once, when the request is over, however it ended. */
export type LogRequest = (record: RequestRecord, status: number, isAborted: boolean) => void;

/**
 * A line with `detail` or `err` goes through pino, which redacts secrets in them. So does a 5xx, which is written at once. All
 * others hold nothing to redact.
 */
export function createAccessLog(logger: Logger, countRequest: CountRequest, traffic?: Traffic): LogRequest {
  const write = createLineWriter(logger, 'request');
  return (record, status, isAborted) => {
    const durationMs = performance.now() - record.startedAt;
    record.isLogged = true;
    if (record.code === undefined) record.rule = record.allowedBy;
    countRequest(record, status, durationMs);
    traffic?.keep(record, status, isAborted, durationMs);
    const fields = fieldsOf(record, status, isAborted, durationMs);
    if (status >= 500) logger.error(fields, 'request');
    else if (record.detail !== undefined || record.err !== undefined) logger.info(fields, 'request');
    else write(fields);
  };
}

function fieldsOf(record: RequestRecord, status: number, isAborted: boolean, durationMs: number) {
  return {
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
    client_id: record.clientId,
    actor: record.actor,
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
    ...(isAborted && { aborted: true }),
  };
}

const rounded = (ms: number | undefined): number | undefined =>
  ms === undefined ? undefined : Math.round(ms * 100) / 100;
