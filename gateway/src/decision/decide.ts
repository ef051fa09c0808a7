import { EventEmitter } from 'node:events';
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { type AnswerCall, allowedResponse, answerCheck, deniedResponse, isCheck } from '@countersign/ext-authz';
import { type Dialect, decidePath, dialects } from '@countersign/proxy-config';
import { discardBody } from '@countersign/service-kit';
import { AppError } from '../errors.ts';
import { hasBody } from '../http/header-fields.ts';
import { createRequestHandler, type HandlerOptions, type Handlers, loggedPath } from '../listen/request-handler.ts';
import { Exchange, type RawRequest, type Signed } from '../pipeline/exchange.ts';
import type { RequestRecord } from '../pipeline/request-record.ts';
import { responseFor } from '../pipeline/respond.ts';
import { readCheck } from './check.ts';
import { createCallReader, type Decided, decidedOf, removedNames } from './original-request.ts';
import type { ProofOfCall } from './proxy-proof.ts';

export type DecisionOptions = Omit<HandlerOptions, 'forward' | 'unmatched'> &
  Readonly<{
    dialect: Dialect;
    isProven(call: ProofOfCall): boolean;
    /** Counts a WebSocket or streamed body that the caller opens through the proxy, until its lease closes. */
    admit(signed: Signed, lease: () => Lease): void;
  }>;

/**
 * Stands for a connection through the proxy. The gateway cannot see when it ends, so it counts as open for a minute.
 */
export class Lease extends EventEmitter {
  readonly destroyed = false;
  readonly complete = false;

  constructor(leaseMs = 60_000) {
    super();
    setTimeout(() => this.emit('close'), leaseMs).unref();
  }
}

export type DecisionHandlers = Handlers &
  Readonly<{
    /** Responds to a call over HTTP/2. Undefined if the proxy only uses HTTP/1.1. */
    check: AnswerCall | undefined;
  }>;

/**
 * Responds to another proxy's auth requests by running the pipeline with a different first and last step. The response
 * is 2xx only with a complete signature. The proxy would treat any other success, such as the response to a preflight
 * request, as permission to forward the request unsigned. So anything else becomes a refusal.
 */
export function createDecisionHandler(options: DecisionOptions): DecisionHandlers {
  const { pipeline, dialect, isProven, admit, inFlight, holdBody } = options;
  const readCall = createCallReader(dialect);
  const base = createRequestHandler({ ...options, forward: noForward, unmatched: 'refuse' });

  /** @param read Reads the original request. It runs only once the call has proved that the proxy made it. */
  async function decide(
    call: ProofOfCall,
    record: RequestRecord,
    read: () => RawRequest | Promise<RawRequest>,
  ): Promise<Decided> {
    if (!isProven(call)) throw new AppError('proxy_untrusted');
    const reading = read();
    const request = reading instanceof Promise ? await reading : reading;
    record.method = request.method;
    record.path = loggedPath(request.requestTarget);
    const signed = await pipeline(new Exchange(request, record, inFlight.end, holdBody));
    if (!('outbound' in signed)) throw new AppError('no_decision');
    admit(signed, () => new Lease());
    return decidedOf(signed);
  }

  async function answer(call: IncomingMessage, response: ServerResponse): Promise<void> {
    const record = base.begin(call, response);
    let hidesStatus = false;
    try {
      const decided = await decide(call, record, () => {
        if (!isDecidePath(call.url ?? '', dialect)) throw new AppError('no_route');
        hidesStatus = dialect.hidesStatus;
        return readCall(call);
      });
      allow(decided, response, dialect);
    } catch (error) {
      refuse(error, record, response, hidesStatus, call);
    }
  }

  async function check(call: Http2ServerRequest, response: Http2ServerResponse): Promise<void> {
    const record = base.begin(call, response);
    if (!isCheck(call)) {
      refuse(new AppError('no_route'), record, response, false);
      return;
    }
    try {
      const decided = await decide(call, record, () => readCheck(call));
      record.status = 200;
      answerCheck(response, allowedResponse({ ...decided, remove: removedNames(decided) }));
    } catch (error) {
      const refusal = responseFor(error, record);
      // Otherwise the call stays open until the rest of the refused message arrives.
      call.resume();
      // The HTTP status of the call is always 200; the message contains the refusal.
      record.status = refusal.status;
      answerCheck(
        response,
        deniedResponse({ ...refusal, headers: { ...refusal.headers, 'cache-control': 'no-store' } }),
      );
    }
  }

  return {
    ...base,
    request: (call, response) => void answer(call, response),
    async upgrade(_call, socket) {
      base.refuseSocket(new AppError('no_route'), socket);
    },
    check: dialect === dialects.envoy ? check : undefined,
  };
}

const noForward = {
  http: () => Promise.reject(new Error('a decision request cannot be forwarded')),
  upgrade: () => Promise.reject(new Error('a decision request cannot be forwarded')),
};

const isDecidePath = (url: string, { requestTarget }: Dialect): boolean =>
  requestTarget === undefined ? url.startsWith(`${decidePath}/`) : url === decidePath;

function allow(decided: Decided, response: ServerResponse, { removal }: Dialect): void {
  const { requestTarget, upgrade, set, forClient } = decided;
  response.writeHead(200, [
    ...set,
    ...(removal === undefined ? [] : [removal, removedNames(decided).join(',')]),
    'x-countersign-target',
    requestTarget,
    ...(upgrade === undefined ? [] : ['x-countersign-upgrade', upgrade]),
    ...forClient,
    'cache-control',
    'no-store',
    'content-length',
    '0',
  ]);
  response.end();
}

/** @param hidesStatus Whether the proxy forwards only 401 and 403, and turns every other status into 500. */
function refuse(
  error: unknown,
  record: RequestRecord,
  response: Readonly<{ writeHead(status: number, headers: OutgoingHttpHeaders): unknown; end(body: string): unknown }>,
  hidesStatus: boolean,
  call?: IncomingMessage,
): void {
  const { status, headers, body } = responseFor(error, record);
  const isUnread = call !== undefined && !call.complete && hasBody(call);
  response.writeHead(hidesStatus && status !== 401 ? 403 : status, {
    ...headers,
    ...(isUnread && { connection: 'close' }),
    'cache-control': 'no-store',
    ...(hidesStatus && { 'x-countersign-status': String(status), 'x-countersign-code': record.code ?? '' }),
  });
  if (isUnread) discardBody(call, () => response.end(body));
  else response.end(body);
}
