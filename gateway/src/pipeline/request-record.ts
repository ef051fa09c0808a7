import { createLineWriter, type Logger } from '@countersign/process-kit';
import { type RequestTrace, type Tracing, traceIdOf } from '@countersign/tracing';
import type { Allow, Scheme } from '../config/config.ts';
import { type AppError, errorTable } from '../errors.ts';
import type { HeldBody } from '../limits/body-memory.ts';
import type { Claims, StatusClaims } from '../tokens/claims.ts';
import type { LoggedPart } from '../tokens/logged-caller.ts';

/** Where clients find metadata about the path that refused them (RFC 9728 section 5.1). */
export type ChallengeMetadata = Readonly<{ urlFor(host: string | undefined, path: string): string }>;

export const maxLoggedPathLength = 1024;

/**
 * What goes into the request's log line. Each stage adds its findings, so that the log line of a refusal has them too.
 * All fields exist from the start, because growing an object costs more than some stages do.
 */
export class RequestRecord {
  readonly requestId: string;
  /** If another proxy asks for a decision, the original request's method. */
  method: string;
  /** The path without the query, which may contain secrets. */
  path: string;
  readonly startedAt: number;
  /** Whether the request still uses its configuration. */
  isInFlight = false;
  /** Whether no route matched, so that the application's next handler serves the request. */
  isPassedOn = false;
  /** The body, if the gateway holds it in memory. Released when the response closes. */
  heldBody: HeldBody | undefined = undefined;
  /** Whether the request is only counted, because its sender has used up its log lines. */
  isUnlogged = false;
  /** Whether the request is over. The console shows the record as it was logged, so the record no longer changes. */
  isLogged = false;
  /** The id that the client or a proxy gave the request. Only the log uses it. */
  clientRequestId: string | undefined = undefined;
  /** Undefined while traces are off, before the request is sanitized, and once it is over. */
  trace: RequestTrace | undefined = undefined;
  traceId: string | undefined = undefined;
  address: string | undefined = undefined;
  isInternal = false;
  isUpgrade = false;
  route: string | undefined = undefined;
  /** The rule that refused the request, or the last one, which allowed it. Undefined if something else decided. */
  rule: string | undefined = undefined;
  /** The route's last rule, once all rules have passed. It becomes `rule` if nothing refuses the request later. */
  allowedBy: string | undefined = undefined;
  /** The schemes that the route accepts, and the scheme that the client used. A challenge depends on both. */
  schemes: readonly Scheme[] | undefined = undefined;
  scheme: Scheme | undefined = undefined;
  /** The scopes that the route requires, and where to find the authorization server. A challenge names both. */
  scopes: Allow['scopes'] = undefined;
  metadata: ChallengeMetadata | undefined = undefined;
  /** Where the pages of error codes are, with a slash at its end. */
  docs: string | undefined = undefined;
  /** The host in the client's request, in lower case. */
  host: string | undefined = undefined;
  identity: 'user' | 'client' | 'anonymous' | 'service' | undefined = undefined;
  /** The claims of the user or OAuth client that calls, or that a service calls for. */
  claims: (StatusClaims & Partial<Pick<Claims, 'jkt' | 'certificate'>>) | undefined = undefined;
  /** What the rules read from the token, serialized once for all its requests. */
  caller: LoggedPart | undefined = undefined;
  serviceId: string | undefined = undefined;
  /** For nested calls on behalf of a user or an OAuth client, the id of the original request. */
  transactionId: string | undefined = undefined;
  upstream: string | undefined = undefined;
  /** Set early only for upgrades and parser errors. 0: the client disconnected before the response started. */
  status: number | undefined = undefined;
  /** Whether the response ended early, and how long the request took. Known once the request is over. */
  isAborted = false;
  durationMs = 0;
  /** Whether the response is an event stream or a WebSocket, which last as long as the client wants. */
  isStream = false;
  /** The last origin that the gateway tried, and the number of attempts. */
  target: string | undefined = undefined;
  attempts: number | undefined = undefined;
  /** The error code of the next-to-last attempt. */
  retriedAfter: string | undefined = undefined;
  /** Milliseconds until the request was signed, then until it had a connection, then until the response began. */
  decidedMs: number | undefined = undefined;
  waitedMs: number | undefined = undefined;
  upstreamMs: number | undefined = undefined;
  code: string | undefined = undefined;
  fault: string | undefined = undefined;
  detail: Readonly<Record<string, unknown>> | undefined = undefined;
  /** The cause of a 5xx. */
  err: unknown = undefined;
  /** The rate limit headers, as alternating names and values. Errors carry them too. */
  limits: readonly string[] | undefined = undefined;
  /** The CORS headers, for errors too. If set, they replace the service's. */
  cors: readonly string[] | undefined = undefined;
  /** The nonce for the client's next DPoP proof, for errors too. */
  nonce: readonly string[] | undefined = undefined;
  /** Whether to add the security headers that the service does not send, to errors too. */
  hasDefaults = false;

  constructor(requestId: string, method: string, path: string, startedAt: number) {
    this.requestId = requestId;
    this.method = method;
    this.path = path;
    this.startedAt = startedAt;
  }
}

/**
 * Records an error, even if it is too late for an error response. Does not record the error on the service side that a
 * client causes by disconnecting.
 */
export function recordFailure(record: RequestRecord, { code }: AppError): void {
  if (record.isLogged) return;
  record.code = code;
  record.fault = errorTable[code].fault;
}

/** Logs and counts one request. Called once, when the request is over, however it ended. */
export type LogRequest = (record: RequestRecord, status: number, isAborted: boolean) => void;

/**
 * pino writes the lines with `detail` or `err`, because it redacts secrets in them. It also writes a 5xx, because that
 * line must appear immediately. Other lines contain nothing to redact.
 */
export function createAccessLog(
  logger: Logger,
  countRequest: (record: RequestRecord, status: number) => void,
  traffic?: Readonly<{ keep(record: RequestRecord, status: number): void }>,
  tracing?: Tracing,
): LogRequest {
  const write = createLineWriter(logger, 'request');
  return (record, status, isAborted) => {
    record.durationMs = performance.now() - record.startedAt;
    record.status = status;
    record.isAborted = isAborted;
    record.isLogged = true;
    if (record.code === undefined) record.rule = record.allowedBy;
    countRequest(record, status);
    if (record.isUnlogged) return;
    traffic?.keep(record, status);
    endTrace(record, status, tracing);
    const fields = fieldsOf(record);
    const { caller } = record;
    if (status < 500 && record.detail === undefined && record.err === undefined) write(fields, caller?.json);
    else if (status < 500) logger.info({ ...fields, caller: caller?.caller }, 'request');
    else logger.error({ ...fields, caller: caller?.caller }, 'request');
  };
}

/** Sends the spans. The console keeps the record, which would keep the whole request if it kept the trace. */
function endTrace(record: RequestRecord, status: number, tracing: Tracing | undefined): void {
  if (tracing === undefined) return;
  const { trace } = record;
  record.traceId = trace?.traceId ?? traceIdOf(record.requestId);
  record.trace = undefined;
  if (trace?.isSampled) trace.end(tracing, record, status);
}

export function fieldsOf(record: RequestRecord) {
  return {
    request_id: record.requestId,
    client_request_id: record.clientRequestId,
    trace_id: record.traceId,
    method: record.method,
    path: record.path,
    // What the route table reads too.
    listener: record.isInternal ? 'internal' : undefined,
    upgrade: record.isUpgrade || undefined,
    status: record.status,
    route: record.route,
    rule: record.rule,
    code: record.code,
    fault: record.fault,
    // A wrong key, clock or certificate inside the deployment stays wrong until an operator fixes it.
    alarm: record.fault === 'configuration' ? record.code : undefined,
    detail: record.detail,
    err: record.err,
    identity: record.identity,
    user_id: record.claims?.userId,
    // The OAuth client that calls, or that the user logged in with.
    client_id: record.claims?.clientId,
    actor: record.claims?.act?.sub,
    service_id: record.serviceId,
    transaction_id: record.transactionId,
    tenant_id: record.claims?.tenantId,
    ip: record.address,
    upstream: record.upstream,
    target: record.target,
    attempts: record.attempts,
    retried_after: record.retriedAfter,
    duration_ms: rounded(record.durationMs),
    decided_ms: rounded(record.decidedMs),
    waited_ms: rounded(record.waitedMs),
    upstream_ms: rounded(record.upstreamMs),
    aborted: record.isAborted || undefined,
  };
}

const rounded = (ms: number | undefined): number | undefined =>
  ms === undefined ? undefined : Math.round(ms * 100) / 100;
