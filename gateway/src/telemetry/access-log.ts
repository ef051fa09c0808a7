import { createLineWriter, jsonString, type Logger } from '@countersign/service-kit';
import type { RequestRecord } from '../exchange.ts';
import type { CountRequest } from './metrics.ts';

/** Logs and counts one request. Called once, when the request is over, however it ended. */
export type LogRequest = (record: RequestRecord, status: number, isAborted: boolean) => void;

/** Keeps one finished request for operators, by reference. */
export type KeepRequest = (record: RequestRecord, status: number, isAborted: boolean, durationMs: number) => void;

/**
 * Most requests are logged by a writer that makes no object. A line with `detail` or `err` goes through pino, which
 * redacts secrets in them. So does a 5xx, which is written at once.
 */
export function createAccessLog(logger: Logger, countRequest: CountRequest, keepRequest?: KeepRequest): LogRequest {
  const write = createLineWriter(logger, 'info', 'request');
  return (record, status, isAborted) => {
    const durationMs = performance.now() - record.startedAt;
    record.isLogged = true;
    if (record.code === undefined) record.rule = record.allowedBy;
    countRequest(record, status, durationMs);
    keepRequest?.(record, status, isAborted, durationMs);
    if (status >= 500) logger.error(fieldsOf(record, status, isAborted, durationMs), 'request');
    else if (record.detail !== undefined || record.err !== undefined) {
      logger.info(fieldsOf(record, status, isAborted, durationMs), 'request');
    } else write(membersOf(record, status, isAborted, durationMs));
  };
}

/** The fields of a line. {@link membersOf} writes the same ones in the same order. */
export function fieldsOf(record: RequestRecord, status: number, isAborted: boolean, durationMs: number) {
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

/** The fields of a line without `detail` and `err`, as JSON. */
export function membersOf(record: RequestRecord, status: number, isAborted: boolean, durationMs: number): string {
  // The request's id is a UUID, and the parser only accepts the methods that it knows.
  let members = `,"request_id":"${record.requestId}","method":"${record.method}","path":${jsonString(record.path)},"status":${status}`;
  members += routeMembers(record.route, record.rule);
  if (record.code !== undefined) members += refusalMembers(record.code, record.fault);
  if (record.identity !== undefined) members += `,"identity":"${record.identity}"`;
  if (record.userId !== undefined) members += `,"user_id":${jsonString(record.userId)}`;
  if (record.clientId !== undefined) members += `,"client_id":${jsonString(record.clientId)}`;
  if (record.actor !== undefined) members += `,"actor":${jsonString(record.actor)}`;
  if (record.serviceId !== undefined) members += `,"service_id":${jsonString(record.serviceId)}`;
  if (record.transactionId !== undefined) members += `,"transaction_id":${jsonString(record.transactionId)}`;
  if (record.tenantId !== undefined) members += `,"tenant_id":${jsonString(record.tenantId)}`;
  if (record.address !== undefined) members += `,"ip":${jsonString(record.address)}`;
  members += upstreamMembers(record.upstream, record.target);
  if (record.attempts !== undefined) members += `,"attempts":${record.attempts}`;
  if (record.retriedAfter !== undefined) members += `,"retried_after":${jsonString(record.retriedAfter)}`;
  members += `,"duration_ms":${hundredths(durationMs)}`;
  if (record.decidedMs !== undefined) members += `,"decided_ms":${hundredths(record.decidedMs)}`;
  if (record.waitedMs !== undefined) members += `,"waited_ms":${hundredths(record.waitedMs)}`;
  if (record.upstreamMs !== undefined) members += `,"upstream_ms":${hundredths(record.upstreamMs)}`;
  return isAborted ? `${members},"aborted":true` : members;
}

type Text = string | undefined;

/** Writes two members whose values come from the configuration. There are few, so the text is remembered. */
function rememberPairs(first: string, second: string): (a: Text, b: Text) => string {
  const known = new Map<Text, Readonly<{ b: Text; text: string }>>();
  const member = (name: string, value: Text) => (value === undefined ? '' : `,"${name}":${jsonString(value)}`);
  return (a, b) => {
    const entry = known.get(a);
    if (entry !== undefined && entry.b === b) return entry.text;
    // One flat string: the parts of a joined one would be copied one by one each time.
    const text = Buffer.from(member(first, a) + member(second, b)).toString();
    known.set(a, { b, text });
    return text;
  };
}

const routeMembers = rememberPairs('route', 'rule');
const upstreamMembers = rememberPairs('upstream', 'target');

function refusalMembers(code: string, fault: string | undefined): string {
  const members = `,"code":${jsonString(code)}`;
  if (fault === undefined) return members;
  const alarm = fault === 'configuration' ? `,"alarm":${jsonString(code)}` : '';
  return `${members},"fault":${jsonString(fault)}${alarm}`;
}

const maxSmallInteger = 2 ** 30;
const decimals = Array.from({ length: 100 }, (_, hundredth) => String(hundredth / 100).slice(1));

/** Writes a number rounded to two decimals, as `String` does. It avoids the slow conversion of a fraction. */
function hundredths(ms: number): string {
  const whole = Math.round(ms * 100);
  if (!(whole >= 0 && whole < maxSmallInteger)) return JSON.stringify(rounded(ms));
  const fraction = whole % 100;
  return (whole - fraction) / 100 + (decimals[fraction] as string);
}
