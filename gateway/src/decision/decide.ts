import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { decidePath, headersOfRequest } from '@countersign/proxy-config';
import { AppError } from '../errors.ts';
import { createRequestHandler, type HandlerOptions, type Handlers } from '../listen/request-handler.ts';
import { Exchange, type Signed } from '../pipeline/exchange.ts';
import type { RequestRecord } from '../pipeline/request-record.ts';
import { responseFor } from '../pipeline/respond.ts';
import { type Dialect, readCall } from './dialect.ts';

export type DecisionOptions = Omit<HandlerOptions, 'forward' | 'unmatched'> &
  Readonly<{
    dialect: Dialect;
    isProven(call: IncomingMessage): boolean;
    /**
     * Counts a WebSocket or a streamed body that the caller opens through the proxy, for as long as `lease` is open.
     */
    admit(signed: Signed, lease: Lease): void;
  }>;

/** Stands for a connection of the proxy, whose end the gateway does not see. It counts as open for a minute. */
export class Lease extends EventEmitter {
  readonly destroyed = false;
  readonly complete = false;

  constructor(leaseMs = 60_000) {
    super();
    setTimeout(() => this.emit('close'), leaseMs).unref();
  }
}

/**
 * Answers the auth requests of another proxy: the pipeline with another first and last step. The answer is 2xx only
 * together with a complete signature. Whatever else the pipeline returns, such as the answer to a preflight, is a
 * refusal here: the proxy would take it for an allow, and forward the request unsigned.
 */
export function createDecisionHandler(options: DecisionOptions): Handlers {
  const { pipeline, dialect, isProven, admit, inFlight, holdBody } = options;
  const base = createRequestHandler({ ...options, forward: noForward, unmatched: 'refuse' });

  async function decide(call: IncomingMessage, response: ServerResponse): Promise<void> {
    const record = base.begin(call, response);
    let hidesStatus = false;
    try {
      if (!isProven(call)) throw new AppError('proxy_untrusted');
      if (!isDecidePath(call.url ?? '', dialect)) throw new AppError('no_route');
      hidesStatus = dialect.hidesStatus;
      const { request, clientRequestId } = readCall(call, dialect);
      describe(record, request.method, request.rawTarget, clientRequestId);
      const decided = await pipeline(new Exchange(request, record, inFlight.end, holdBody));
      if (!('outbound' in decided)) throw new AppError('no_decision');
      admit(decided, new Lease());
      allow(decided, response, dialect);
    } catch (error) {
      refuse(error, record, response, hidesStatus);
    }
  }

  return {
    ...base,
    request: (call, response) => void decide(call, response),
    async upgrade(_call, socket) {
      base.refuseSocket(new AppError('no_route'), socket);
    },
  };
}

const noForward = {
  http: () => Promise.reject(new Error('a decision is not forwarded')),
  upgrade: () => Promise.reject(new Error('a decision is not forwarded')),
};

const isDecidePath = (url: string, { target }: Dialect): boolean =>
  target === undefined ? url.startsWith(`${decidePath}/`) : url === decidePath;

/** Replaces the proxy's call with the original request in the record. */
function describe(record: RequestRecord, method: string, target: string, clientRequestId: string | undefined): void {
  record.method = method;
  record.path = target.split('?', 1)[0]?.slice(0, 1024) ?? '';
  record.clientRequestId = /^[!-~]{1,64}$/.test(clientRequestId ?? '') ? clientRequestId : undefined;
}

/** The headers that the proxy must set on the request to the service, then those for the client's response. */
function allow({ outbound, headers, record, upgrade }: Signed, response: ServerResponse, { removal }: Dialect): void {
  const { limits = [], cors = [], nonce = [] } = record;
  // The client's own headers come first. The proxy already has them.
  const set = outbound.headers.slice(headers.length);
  const names = new Set(set.filter((_, at) => at % 2 === 0));
  response.writeHead(200, [
    ...set,
    ...(removal === undefined ? [] : [removal, headersOfRequest.filter((name) => !names.has(name)).join(',')]),
    'x-countersign-target',
    outbound.target,
    ...(upgrade === undefined ? [] : ['x-countersign-upgrade', upgrade.protocol]),
    ...limits,
    ...cors,
    ...nonce,
    'cache-control',
    'no-store',
    'content-length',
    '0',
  ]);
  response.end();
}

/** @param hidesStatus The proxy forwards 401 and 403, and turns every other status into 500. */
function refuse(error: unknown, record: RequestRecord, response: ServerResponse, hidesStatus: boolean): void {
  const { status, headers, body } = responseFor(error, record);
  response.writeHead(hidesStatus && status !== 401 ? 403 : status, {
    ...headers,
    'cache-control': 'no-store',
    ...(hidesStatus && { 'x-countersign-status': String(status), 'x-countersign-code': record.code ?? '' }),
  });
  response.end(body);
}
