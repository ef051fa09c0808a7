import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Duplex } from 'node:stream';
import type { Certificate } from '../config/config.ts';
import { AppError, type Code } from '../errors.ts';
import { maxTargetBytes } from '../routing/target.ts';
import type { Handlers } from './handlers.ts';
import { type RequestLines, watchRequestLines } from './request-lines.ts';
import { createTurns, type Turns } from './turns.ts';

// Room for a target of 8 KiB beside 12 KiB of headers; both have a limit of their own, with a better answer.
const maxHeaderSize = 20 * 1024;

// Requests behind one another on one connection. Node reads on whatever waits, and each costs some 2 KB until it is answered. More than
// fit into one read of 64 KiB, so that only who goes on sending without being answered comes here.
const mostUnanswered = 2_500;

/** In milliseconds. Whoever keeps a connection open without saying anything costs a file descriptor until then. */
export type ListenerTimes = Readonly<{
  /** For a TLS handshake, and from there, or from the first byte of a further request, to the end of its head. Default 15 s. */
  headMs?: number;
  /** How long a connection is kept between two requests. Default 60 s. */
  keepAliveMs?: number;
  /** How often that is looked at. Default 5 s. */
  lookEveryMs?: number;
}>;

export type ListenerOptions = Readonly<{
  /** Makes it speak TLS. What it proves itself with at this moment; asked once a connection. */
  certificateNow?: (() => Certificate) | undefined;
  times?: ListenerTimes | undefined;
}>;

type Connection = {
  /** Requests that are not answered yet. */
  readonly answers: Map<IncomingMessage, ServerResponse>;
  readonly lines: RequestLines;
  readonly turns: Turns;
  /** What waits for all of them to be. */
  whenIdle?: () => void;
};

/**
 * A listener that may face the world; the internal one is the same, since what is behind it is not trusted either. Parsing is node's, strict; what its parser refuses is answered like everything else.
 * Bodies have no total time limit here, since a stream may be long: those that are read whole have one, streams an idle one.
 *
 * @param handlersNow Who takes requests at this moment. Asked once a request, so that each is served under one configuration from
 *   its first stage to its last, also on a connection that is older than it.
 */
export function createListener(handlersNow: () => Handlers, options: ListenerOptions = {}): Server {
  const { headMs = 15_000, keepAliveMs = 60_000, lookEveryMs = 5_000 } = options.times ?? {};
  const httpOptions: ServerOptions = {
    maxHeaderSize,
    insecureHTTPParser: false,
    // Judged by us, so that its absence is answered like everything else.
    requireHostHeader: false,
    headersTimeout: headMs,
    requestTimeout: 0,
    connectionsCheckingInterval: lookEveryMs,
    keepAliveTimeout: keepAliveMs,
    noDelay: true,
    // Anything else that wants to be upgraded is a plain request whose `Upgrade` is dropped (h2c smuggling).
    shouldUpgradeCallback: ({ method, headers }) => method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket',
  };
  const { certificateNow } = options;
  const server =
    certificateNow === undefined ? createServer(httpOptions) : tlsServer(httpOptions, certificateNow, headMs);
  // Node would silently drop headers beyond its own count; ours refuses.
  server.maxHeadersCount = 0;

  const connections = new WeakMap<Duplex, Connection>();

  function take(request: IncomingMessage, response: ServerResponse, refusal?: AppError): void {
    const connection = connections.get(request.socket) as Connection;
    if (connection.answers.size >= mostUnanswered) {
      request.socket.destroy();
      return;
    }
    connection.answers.set(request, response);
    response.once('close', () => {
      connection.answers.delete(request);
      connection.turns.gone(request);
      if (connection.answers.size > 0) return;
      connection.lines.rest();
      connection.whenIdle?.();
    });
    const refused = connection.lines.isCanonical(request) ? refusal : notCanonical();
    connection.turns.come(request, () => handlersNow().request(request, response, refused));
  }

  /** Node takes an expectation for `100-continue` when that is among others; no other can be met (RFC 9110 section 10.1.1). */
  function takeExpecting(request: IncomingMessage, response: ServerResponse): void {
    const isMet = request.headers.expect?.toLowerCase() === '100-continue';
    take(request, response, isMet ? undefined : new AppError('expectation_failed'));
  }

  function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { lines, turns } = connections.get(socket) as Connection;
    const isCanonical = lines.isCanonical(request);
    lines.leave();
    const run = () =>
      isCanonical ? handlersNow().upgrade(request, socket, head) : handlersNow().refused(notCanonical(), socket);
    turns.come(request, run, 'upgrade');
  }

  function refuseBroken(error: NodeJS.ErrnoException, socket: Duplex): void {
    if (!socket.writable || error.code === 'ECONNRESET' || error.code === 'EPIPE') {
      socket.destroy();
      return;
    }
    const connection = connections.get(socket);
    const code = codeFor(error, connection?.lines.unread());
    const refusal = new AppError(code, { cause: error, detail: { parser: error.code } });
    // What still comes is not read.
    connection?.lines.leave();
    const [last] = [...(connection?.answers ?? [])].slice(-1);
    // No TLS was agreed on: there is nobody to answer.
    if (connection === undefined) socket.destroy();
    else if (last === undefined) handlersNow().refused(refusal, socket);
    // After whole requests, whose answers come first: one of them would otherwise get this in its place.
    else if (last[0].complete) connection.whenIdle ??= () => handlersNow().refused(refusal, socket);
    // The body of the request under way is broken.
    else if (connection.answers.size === 1) handlersNow().broken(refusal, last[1], socket);
    else socket.destroy();
  }

  server.on(certificateNow === undefined ? 'connection' : 'secureConnection', (socket: Duplex) => {
    const lines = watchRequestLines(socket);
    connections.set(socket, { answers: new Map(), lines, turns: createTurns() });
  });
  server.on('request', (request, response) => take(request, response));
  server.on('checkContinue', takeExpecting);
  server.on('checkExpectation', takeExpecting);
  server.on('upgrade', upgrade);
  server.on('connect', (request, socket) => {
    const { lines, turns } = connections.get(socket) as Connection;
    lines.leave();
    turns.come(request, () => handlersNow().refused(new AppError('invalid_target'), socket), 'upgrade');
  });
  server.on('clientError', refuseBroken);
  return server;
}

/** TLS 1.2 and 1.3 with node's ciphers, and HTTP/1.1 inside. A renewed certificate is shown to who comes then. */
function tlsServer(httpOptions: ServerOptions, certificateNow: () => Certificate, headMs: number): Server {
  const contextOf = ({ cert, key }: Certificate) => ({ cert, key, minVersion: 'TLSv1.2' as const });
  let shown = certificateNow();
  const server = createTlsServer({
    ...httpOptions,
    ...contextOf(shown),
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: headMs,
  });
  // Before node's own listener, which begins the handshake.
  server.prependListener('connection', () => {
    const now = certificateNow();
    if (now.cert === shown.cert && now.key === shown.key) return;
    server.setSecureContext(contextOf(now));
    shown = now;
  });
  return server;
}

const notCanonical = () =>
  new AppError('invalid_request', { detail: { reason: 'request line' }, headers: { connection: 'close' } });

/** @param begun What came so far of the request that the parser does not take. */
function codeFor({ code }: NodeJS.ErrnoException, begun: Buffer | undefined): Code {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return isLongTarget(begun) ? 'uri_too_long' : 'headers_too_large';
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return 'request_timeout';
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return 'payload_too_large';
    default:
      return 'invalid_request';
  }
}

/** Its first line goes on beyond the longest target. */
function isLongTarget(begun: Buffer | undefined): boolean {
  if (begun === undefined || !/^[A-Z]+ /.test(begun.toString('latin1', 0, 16))) return false;
  const end = begun.indexOf('\n');
  return end === -1 || end > maxTargetBytes;
}
