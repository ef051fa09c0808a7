import { createHash, timingSafeEqual } from 'node:crypto';
import { EventEmitter } from 'node:events';
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { discardBody } from '@countersign/process-kit';
import { type Dialect, decidePath, dialects, proxySecretHeader } from '@countersign/proxy-config';
import type { DecisionSettings } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { hasBody } from '../http/header-fields.ts';
import { createRequestHandler, type HandlerOptions, type Handlers, loggedPath } from '../listen/request-handler.ts';
import { Exchange, type RawRequest, type Signed } from '../pipeline/exchange.ts';
import type { RequestRecord } from '../pipeline/request-record.ts';
import { responseFor } from '../pipeline/respond.ts';
import type { CountUnmatched } from '../pipeline/unmatched.ts';
import { answerCheck, isCheck, readCheck } from './check.ts';
import type { AnswerCall } from './http2-connections.ts';
import { createCallReader, type Decided, decidedOf, headerUses, removedNames } from './original-request.ts';

type DecisionOptions = Omit<HandlerOptions, 'forward' | 'unmatched'> &
  Readonly<{
    dialect: Dialect;
    tokenHeaders: readonly string[];
    isProven(call: ProofOfCall): boolean;
    /** Counts an unproven call. See {@link CountUnmatched}. */
    countUnmatched: CountUnmatched;
    /** Counts a WebSocket or streamed body that the caller opens through the proxy, until its lease closes. */
    claim(signed: Signed, lease: () => Lease): void;
  }>;

/** A connection through the proxy. The gateway cannot see its end, so it counts as open for a minute. */
class Lease extends EventEmitter {
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
 * is 2xx only with a complete signature or token. The proxy would treat any other success, such as the response to a
 * preflight request, as permission to forward the request unsigned. So anything else becomes a refusal.
 */
export function createDecisionHandler(options: DecisionOptions): DecisionHandlers {
  const { pipeline, dialect, tokenHeaders, isProven, countUnmatched, claim, inFlight, holdBody } = options;
  const readCall = createCallReader(dialect, tokenHeaders);
  // A message describes the request in its own fields, so none of the request's headers belongs to a dialect.
  const useOf = headerUses(new Set(), tokenHeaders);
  const base = createRequestHandler({ ...options, forward: noForward, unmatched: 'refuse' });

  /** @param read Runs only once the call has proved that the proxy made it. */
  async function decide(
    call: ProofOfCall,
    record: RequestRecord,
    read: () => RawRequest | Promise<RawRequest>,
    close: () => void,
  ): Promise<Decided> {
    if (!isProven(call)) throw counted(new AppError('proxy_untrusted'), call, record, close);
    const reading = read();
    const request = reading instanceof Promise ? await reading : reading;
    record.method = request.method;
    record.path = loggedPath(request.requestTarget);
    const signed = await pipeline(new Exchange(request, record, inFlight.end, holdBody));
    if (!('outbound' in signed)) throw new AppError('no_decision');
    claim(signed, () => new Lease());
    return decidedOf(signed);
  }

  /** Counts a call that the proxy would not make. Closes the connection if its sender has used up its budget. */
  function counted(error: AppError, { socket }: ProofOfCall, record: RequestRecord, close: () => void): unknown {
    const refusal = countUnmatched(error, socket.remoteAddress ?? '', record);
    if (refusal !== error) close();
    return refusal;
  }

  async function answer(call: IncomingMessage, response: ServerResponse): Promise<void> {
    const record = base.begin(call, response);
    let hidesStatus = false;
    try {
      const read = () => {
        if (!isDecidePath(call.url ?? '', dialect)) throw new AppError('no_route');
        hidesStatus = dialect.hidesStatus;
        return readCall(call);
      };
      const decided = await decide(call, record, read, () => response.setHeader('connection', 'close'));
      allow(decided, removedNames(decided, tokenHeaders), response, dialect);
    } catch (error) {
      refuse(error, record, response, hidesStatus, call);
    }
  }

  async function check(call: Http2ServerRequest, response: Http2ServerResponse): Promise<void> {
    const record = base.begin(call, response);
    const close = () => call.stream.session?.close();
    if (!isCheck(call)) {
      refuse(counted(new AppError('no_route'), call, record, close), record, response, false);
      return;
    }
    try {
      const decided = await decide(call, record, () => readCheck(call, useOf), close);
      record.status = 200;
      answerCheck(response, { ...decided, remove: removedNames(decided, tokenHeaders) });
    } catch (error) {
      const refusal = responseFor(error, record);
      // Otherwise the call stays open until the rest of the refused message arrives.
      call.resume();
      record.status = refusal.status;
      answerCheck(response, { ...refusal, headers: { ...refusal.headers, 'cache-control': 'no-store' } });
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

function allow(decided: Decided, removed: readonly string[], response: ServerResponse, { removal }: Dialect): void {
  const { requestTarget, upstream, upgrade, set, forClient } = decided;
  response.writeHead(200, [
    ...set,
    ...(removal === undefined ? [] : [removal, removed.join(',')]),
    'x-countersign-target',
    requestTarget,
    'x-countersign-service',
    upstream,
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

/** The connection and headers of a call, which prove that the proxy made it. For HTTP/1.1 and HTTP/2. */
type ProofOfCall = Readonly<{ socket: Socket; rawHeaders: readonly string[] }>;

/** A Unix socket needs no proof: its group and its directory's mode decide which processes may connect. */
export function createProxyProof(
  { secrets, clientCa, trust }: Pick<DecisionSettings, 'secrets' | 'clientCa' | 'trust'>,
  isSocket: boolean,
): (call: ProofOfCall) => boolean {
  if (isSocket || trust !== 'none') return () => true;
  const accepted = secrets.map(digestOf);
  return (call) => {
    if (clientCa !== undefined && (call.socket as TLSSocket).authorized !== true) return false;
    return accepted.length === 0 ? clientCa !== undefined : hasSecret(call, accepted);
  };
}

function hasSecret({ rawHeaders }: ProofOfCall, accepted: readonly Buffer[]): boolean {
  const sent = rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === proxySecretHeader);
  // Digests have equal lengths. Comparing all of them hides from timing which secret was close.
  const digest = digestOf(Buffer.from(sent[0] ?? '', 'latin1'));
  const matches = accepted.map((secret) => timingSafeEqual(secret, digest));
  return sent.length === 1 && matches.includes(true);
}

const digestOf = (secret: Uint8Array): Buffer => createHash('sha256').update(secret).digest();
