import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Turns } from '@countersign/process-kit';
import type { Certificate } from '../config/config.ts';
import { AppError, type Code } from '../errors.ts';
import { hasBody } from '../http/header-fields.ts';
import { maxRequestTargetBytes } from '../routing/request-target.ts';
import type { GatewayResponse, ListenerApp } from './request-handler.ts';

// In bytes. Leaves room for an 8 KiB request target and 12 KiB of headers, which have their own limits and better
// error codes.
const maxHeaderSize = 20 * 1024;

// The parser does not count spaces around values. Node reads up to 64 KiB at once, so until the parser reports a
// request, the head and at most 64 KiB more have arrived.
const maxHeadBytes = 128 * 1024;

// The maximum number of unanswered requests per connection. Node keeps reading while they wait, and each costs about 2
// KB. One 64 KiB read holds fewer, so only a client that keeps sending without reading responses reaches the limit.
const maxPipelined = 2_500;

// How many requests of one connection run before other connections have their turn.
const maxInTurn = 32;

export const defaultHeadMs = 15_000;

/** In milliseconds. An idle connection uses a file descriptor until it times out. */
export type ListenerTimes = Readonly<{
  /** Timeout for the TLS handshake, and for the headers of each request. Default 15 s. */
  headMs?: number;
  /** How long a connection stays open between two requests. Default 60 s. */
  keepAliveMs?: number;
  /** How often these times are checked. Default 5 s. */
  checkEveryMs?: number;
}>;

export type ListenerOptions = Readonly<{
  /** Returns the current certificate, and makes the listener use TLS. Called once per connection. */
  certificateNow?: (() => Certificate) | undefined;
  times?: ListenerTimes | undefined;
  /** Whether the listener serves upgrades, which is the default. Otherwise it treats an upgrade as a plain request. */
  upgrades?: boolean;
  /** With TLS, whether a client may choose HTTP/2, which is then handled before this listener. Default: no. */
  offersHttp2?: () => boolean;
}>;

class InboundConnection {
  /** In order of arrival. The listener has started the first ones. */
  readonly unanswered: GatewayResponse[] = [];
  running = 0;
  /** How many requests ran since the connection was idle, or since its turn began. */
  inTurn = 0;
  isWaiting = false;
  /** The number of bytes that had arrived at the last request, and at the last response. */
  arrivedAtBytes: number;
  answeredAtBytes: number;
  /** True if the connection serves no later request. */
  isStopped = false;
  whenIdle: (() => void) | undefined = undefined;

  constructor({ bytesRead }: Socket) {
    this.arrivedAtBytes = bytesRead;
    this.answeredAtBytes = bytesRead;
  }
}

const connections = new WeakMap<Duplex, InboundConnection>();
const connectionOf = (socket: Duplex) => connections.get(socket) as InboundConnection;

/**
 * Creates the public or the internal listener. The internal one is just as strict, because its callers are not trusted
 * either. Node's strict parser reads the requests. Parse errors get the same kind of response as every other error.
 *
 * There is no overall body timeout here, because a stream may run for a long time. The code that buffers a body limits
 * it, and streams have an idle timeout.
 *
 * @param app Serves the requests. A connection may outlive several configurations.
 */
export function createListener(app: ListenerApp, options: ListenerOptions = {}): Server {
  const { upgrades = true, offersHttp2 = () => false } = options;
  const { headMs = defaultHeadMs, keepAliveMs = 60_000, checkEveryMs = 5_000 } = options.times ?? {};
  const httpOptions: ServerOptions = {
    ...app.classes,
    maxHeaderSize,
    insecureHTTPParser: false,
    optimizeEmptyRequests: true,
    // The sanitize stage checks Host, so a missing one gets a normal error response.
    requireHostHeader: false,
    headersTimeout: headMs,
    requestTimeout: 0,
    connectionsCheckingInterval: checkEveryMs,
    keepAliveTimeout: keepAliveMs,
    noDelay: true,
    // Other upgrades are served as plain requests without their `Upgrade` header (h2c smuggling).
    shouldUpgradeCallback: ({ method, headers }) =>
      upgrades && method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket',
  };
  const { certificateNow } = options;
  const server =
    certificateNow === undefined
      ? createServer(httpOptions)
      : createTlsServer(httpOptions, certificateNow, headMs, offersHttp2);
  // Node would silently drop headers beyond its limit. The sanitize stage refuses them.
  server.maxHeadersCount = 0;

  const run = (response: GatewayResponse): void => {
    const { req, refusal } = response;
    if (refusal === undefined) app.serve(req, response);
    else app.handlers().refuse(refusal, req, response);
  };

  /**
   * Runs the pipelined requests on one connection that may run now. Node hands out all of them at once and orders only
   * their responses, so a request could overtake a POST that the client sent before it. Safe requests without a body
   * may run in parallel (RFC 9112 section 9.3.2). Other requests run alone.
   *
   * Requests after a response that closes the connection never run (RFC 9112 section 9.6). If the gateway closes
   * because the end of a body is unknown, the next request may have been smuggled in that body.
   */
  function runNext(connection: InboundConnection): void {
    const { unanswered } = connection;
    if (connection.isWaiting) return;
    for (let next = unanswered[connection.running]; next !== undefined; next = unanswered[connection.running]) {
      const before = unanswered[connection.running - 1];
      if (before !== undefined && !(isSafe(before) && isSafe(next))) return;
      if (!next.req.socket.writable) return;
      if (connection.inTurn === maxInTurn) {
        awaitTurn(connection, next.req.socket);
        return;
      }
      connection.running += 1;
      connection.inTurn += 1;
      run(next);
    }
  }

  const waiting = new Turns<InboundConnection>({ maxWaiting: Number.POSITIVE_INFINITY });

  function awaitTurn(connection: InboundConnection, { remoteAddress = '' }: Socket): void {
    connection.isWaiting = true;
    waiting.add({ address: remoteAddress }, connection);
    if (waiting.size === 1) setImmediate(giveTurn);
  }

  /** Runs once in each turn of the event loop, so that the requests of all other connections come in between. */
  function giveTurn(): void {
    const connection = waiting.next() as InboundConnection;
    if (waiting.size > 0) setImmediate(giveTurn);
    connection.isWaiting = false;
    connection.inTurn = 0;
    runNext(connection);
  }

  function responseClosed(this: GatewayResponse): void {
    const { socket } = this.req;
    const connection = connectionOf(socket);
    const { unanswered } = connection;
    const at = unanswered.indexOf(this);
    connection.answeredAtBytes = socket.bytesRead;
    unanswered.splice(at, 1);
    if (at < connection.running) connection.running -= 1;
    if (unanswered.length === 0) {
      connection.inTurn = 0;
      connection.whenIdle?.();
    } else runNext(connection);
  }

  function accept(request: IncomingMessage, response: GatewayResponse, refusal?: AppError): void {
    const { socket } = request;
    const connection = connectionOf(socket);
    const { unanswered } = connection;
    if (connection.isStopped) return;
    if (unanswered.length >= maxPipelined) {
      socket.destroy();
      return;
    }
    response.refusal = hasLongHead(socket, connection) ? longHead() : refusal;
    connection.arrivedAtBytes = socket.bytesRead;
    unanswered.push(response);
    response.on('close', responseClosed);
    runNext(connection);
  }

  /**
   * Node also accepts `100-continue` as one item in a list. The gateway cannot meet any other expectation (RFC 9110
   * section 10.1.1).
   */
  function acceptExpecting(request: IncomingMessage, response: ServerResponse): void {
    const isMet = request.headers.expect?.toLowerCase() === '100-continue';
    accept(request, response as GatewayResponse, isMet ? undefined : new AppError('expectation_failed'));
  }

  /** @param stream In Node.js 26, a wrapper around the socket if the request has a body. Such a request is refused. */
  function upgrade(req: IncomingMessage, stream: Duplex, head: Buffer): void {
    const { socket, method } = req;
    destroyOnError(socket);
    if (stream !== socket) destroyOnError(stream);
    const connection = connectionOf(socket);
    connection.isStopped = true;
    let refusal: AppError | undefined;
    if (method === 'CONNECT') refusal = new AppError('invalid_target');
    else if (hasLongHead(socket, connection)) refusal = longHead();
    // The upgrade takes over the connection, so it must wait for the responses to earlier requests.
    connection.whenIdle = () => {
      if (!socket.writable) return;
      if (refusal === undefined) void app.handlers().upgrade(req, socket, head);
      else app.handlers().refuseSocket(refusal, socket);
    };
    if (connection.unanswered.length === 0) connection.whenIdle();
  }

  function refuseUnparsed(error: ParseError, socket: Duplex): void {
    const isGone = !socket.writable || error.code === 'ECONNRESET' || error.code === 'EPIPE';
    const connection = connections.get(socket);
    // Without a connection entry, the TLS handshake failed, so no response can be sent.
    if (isGone || connection === undefined) {
      socket.destroy();
      return;
    }
    connection.isStopped = true;
    const refusal = new AppError(codeForParseError(error), { cause: error, detail: { parser: error.code } });
    const last = connection.unanswered.at(-1);
    if (last === undefined) app.handlers().refuseSocket(refusal, socket);
    // Complete requests came before the malformed one. Their responses go out first, so none of them gets this error.
    else if (last.req.complete) connection.whenIdle ??= () => app.handlers().refuseSocket(refusal, socket);
    // The body of the current request is malformed.
    else if (connection.unanswered.length === 1) app.handlers().refuseBody(refusal, last, socket);
    else socket.destroy();
  }

  server.on(certificateNow === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
    connections.set(socket, new InboundConnection(socket));
  });
  server.on('request', (request, response) => accept(request, response as GatewayResponse));
  server.on('checkContinue', acceptExpecting);
  server.on('checkExpectation', acceptExpecting);
  server.on('upgrade', upgrade);
  server.on('connect', upgrade);
  server.on('clientError', refuseUnparsed);
  return server;
}

/** The error that Node passes to `clientError`. `rawPacket` is the packet that the parser was reading. */
type ParseError = NodeJS.ErrnoException & Readonly<{ rawPacket?: Buffer }>;

function codeForParseError({ code, rawPacket }: ParseError): Code {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return isLongRequestTarget(rawPacket) ? 'uri_too_long' : 'headers_too_large';
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return 'request_timeout';
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return 'payload_too_large';
    default:
      return 'invalid_request';
  }
}

/** Whether the packet begins with a request line that exceeds the longest allowed target. */
function isLongRequestTarget(packet: Buffer | undefined): boolean {
  if (packet === undefined || !/^[A-Z]+ /.test(packet.toString('latin1', 0, 16))) return false;
  const end = packet.indexOf('\n');
  return end === -1 || end > maxRequestTargetBytes;
}

/** Whether more bytes arrived for this head than a head may have. Unknown if an earlier body may still be arriving. */
function hasLongHead(socket: Socket, { unanswered, arrivedAtBytes, answeredAtBytes }: InboundConnection): boolean {
  const before = unanswered.at(-1);
  if (before !== undefined && hasBody(before.req)) return false;
  const from = before === undefined ? answeredAtBytes : arrivedAtBytes;
  return socket.bytesRead - from > maxHeadBytes;
}

const longHead = () =>
  new AppError('headers_too_large', { detail: { reason: 'long head' }, headers: { connection: 'close' } });

/** Node removes its own error listener when it hands over a socket. Without one, a reset would end the process. */
const destroyOnError = (socket: Duplex) => void socket.on('error', () => socket.destroy());

const safeMethods: ReadonlySet<string | undefined> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

/** A refused head or HTTP version closes the connection, so later requests must wait for such a request. */
const isSafe = ({ refusal, req }: GatewayResponse): boolean =>
  refusal === undefined &&
  (req.httpVersion === '1.1' || req.httpVersion === '1.0') &&
  safeMethods.has(req.method) &&
  !hasBody(req);

/** Creates a server for TLS 1.2 and 1.3 with Node's ciphers. New connections pick up a renewed certificate. */
function createTlsServer(
  httpOptions: ServerOptions,
  certificateNow: () => Certificate,
  headMs: number,
  offersHttp2: () => boolean,
): Server {
  const contextOf = ({ cert, key, clients }: Certificate) => ({
    cert,
    key,
    minVersion: 'TLSv1.2' as const,
    ...(clients && { ca: clients.ca }),
  });
  let inUse = certificateNow();
  const server = createHttpsServer({
    ...httpOptions,
    ...contextOf(inUse),
    requestCert: inUse.clients !== undefined,
    rejectUnauthorized: inUse.clients?.mode === 'require',
    ALPNCallback: ({ protocols }) =>
      (offersHttp2() ? ['h2', 'http/1.1'] : ['http/1.1']).find((one) => protocols.includes(one)),
    handshakeTimeout: headMs,
  });
  // Runs first, because Node's own listener starts the handshake.
  server.prependListener('connection', () => {
    const now = certificateNow();
    if (now.cert === inUse.cert && now.key === inUse.key && now.clients?.ca === inUse.clients?.ca) return;
    server.setSecureContext(contextOf(now));
    inUse = now;
  });
  return server;
}
