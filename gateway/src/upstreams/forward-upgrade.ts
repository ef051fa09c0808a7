import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createProxyMiddleware } from 'http-proxy-middleware';
import { AppError } from '../errors.ts';
import { type Header, type RequestRecord, type Signed, standingOf } from '../exchange.ts';
import { answerHeaders } from './answer-headers.ts';
import type { OpenConnections } from './open-connections.ts';
import type { Target, UpstreamPools } from './pools.ts';
import { toUpstreamError } from './upstream-error.ts';

export type ForwardUpgradeOptions = Readonly<{
  pools: UpstreamPools;
  open: OpenConnections;
  /** Answers on the raw socket. Synchronous: http-proxy-middleware ends the socket as soon as an error was reported. */
  refuse(error: AppError, record: RequestRecord, socket: Duplex): void;
}>;

// For the client to read an answer and close its side.
const lingerMs = 2_000;

/** What belongs to one upgrade while http-proxy-middleware, which knows the request only, carries it. */
type Carried = Readonly<{
  signed: Signed;
  target: Target;
  fail(error: unknown): void;
  onUpgraded(service: Socket): void;
}>;

/**
 * Carries a signed upgrade with http-proxy-middleware. It is called after the pipeline and never subscribes to the server's
 * `upgrade` event (its `ws: true` does, and then no rule of ours is asked), and it sees the signed headers in place of
 * the client's. An answer other than 101 is passed on and ends the connection: bytes that the client sent after it are
 * never relayed (websocket smuggling).
 *
 * The promise settles when the connection is over. Failures are answered here, since the socket does not wait.
 */
export function createForwardUpgrade(
  options: ForwardUpgradeOptions,
): (signed: Signed, socket: Duplex, head: Buffer) => Promise<void> {
  const carriedBy = new WeakMap<IncomingMessage, Carried>();
  const proxy = createProxyMiddleware<IncomingMessage>({
    router: (request) => carriedBy.get(request)?.target.origin ?? '',
    // Its own plugins log to the console and answer errors in their own words.
    ejectPlugins: true,
    plugins: [
      (server) => {
        server.on('error', (error, request) => request && carriedBy.get(request)?.fail(error));
        server.on('proxyReqWs', (outgoing, request, socket) => {
          const carried = carriedBy.get(request);
          if (carried === undefined) outgoing.destroy();
          else watchAnswer(outgoing, socket, carried);
        });
      },
    ],
  });

  return (signed, socket, head) =>
    new Promise((resolve) => {
      const { request, record, caller, outbound, route } = signed;
      const target = options.pools.next(route.upstream);
      let answered = false;
      carriedBy.set(request, {
        signed,
        target,
        fail(error) {
          if (answered || socket.destroyed) return;
          answered = true;
          options.refuse(toUpstreamError(error, route.upstream.name, target.origin), record, socket);
        },
        onUpgraded(service) {
          answered = true;
          const end = () => {
            socket.destroy();
            service.destroy();
          };
          const release = options.open.addEndless({ route, token: standingOf(caller) }, end);
          signed.detach();
          // Either side's end is the other's, whether it said so or just went. A WebSocket has no half-open state, and a
          // peer that keeps its half open would keep ours.
          socket.once('end', () => service.destroySoon());
          service.once('end', () => (socket as Socket).destroySoon());
          socket.once('close', () => {
            release();
            service.destroy();
          });
          service.once('close', () => socket.destroy());
        },
      });
      socket.once('close', () => resolve());
      request.url = outbound.target;
      request.headers = headersFor(outbound.headers, target.host);
      proxy.upgrade(request, socket as Socket, head);
    });
}

function headersFor(headers: readonly Header[], host: string): IncomingHttpHeaders {
  const written: Record<string, string | string[]> = Object.create(null);
  for (const [name, value] of headers) {
    const before = written[name];
    written[name] = before === undefined ? value : [before, value].flat();
  }
  // Dropped as hop-by-hop on the way in; on the way out this hop is ours.
  return { ...written, host, connection: 'Upgrade', upgrade: 'websocket' };
}

/** Sees the service's answer before http-proxy-middleware does, which only then hangs its own listeners on the request. */
function watchAnswer(outgoing: ClientRequest, socket: Socket, { signed, target, fail, onUpgraded }: Carried): void {
  const { route, record } = signed;
  const sentAt = performance.now();
  const timer = setTimeout(
    () => outgoing.destroy(new AppError('upstream_timeout')),
    route.upstream.timeouts.responseMs,
  );
  const giveUp = () => outgoing.destroy();
  socket.once('close', giveUp);

  const begin = (answer: IncomingMessage) => {
    clearTimeout(timer);
    socket.off('close', giveUp);
    record.upstreamMs = performance.now() - sentAt;
    const { passing, identityRefused } = answerHeaders(answer.rawHeaders, signed);
    answer.headers = asObject([...passing, 'x-request-id', record.requestId]);
    return identityRefused;
  };
  outgoing.once('close', () => clearTimeout(timer));
  outgoing.once('response', (answer: IncomingMessage) => {
    const framing = answer.headers['transfer-encoding'];
    const reason = begin(answer);
    record.status = answer.statusCode ?? 502;
    if (answer.statusCode === 401 && reason !== undefined) {
      const detail = { upstream: route.upstream.name, target: target.origin, reason: reason.slice(0, 64) };
      fail(new AppError('identity_refused', { detail }));
      return;
    }
    if (framing !== undefined) answer.headers['transfer-encoding'] = framing;
    // What the client still sends goes nowhere; unread, it would keep the socket open for ever.
    socket.resume();
    socket.once('finish', () => endAfter(socket, lingerMs));
  });
  outgoing.once('upgrade', (answer: IncomingMessage, service: Socket) => {
    const protocol = answer.headers.upgrade?.toLowerCase();
    begin(answer);
    if (protocol !== 'websocket') {
      service.destroy();
      fail(new AppError('upstream_invalid_response', { detail: { reason: 'another protocol' } }));
      socket.destroySoon();
      return;
    }
    record.status = 101;
    answer.headers = { ...answer.headers, connection: 'Upgrade', upgrade: 'websocket' };
    onUpgraded(service);
  });
}

function endAfter(socket: Socket, ms: number): void {
  const timer = setTimeout(() => socket.destroy(), ms);
  socket.once('close', () => clearTimeout(timer));
}

function asObject(flat: readonly string[]): IncomingHttpHeaders {
  const headers: Record<string, string | string[]> = Object.create(null);
  for (let at = 0; at < flat.length; at += 2) {
    const name = (flat[at] ?? '').toLowerCase();
    const value = flat[at + 1] ?? '';
    const before = headers[name];
    headers[name] = before === undefined ? value : [before, value].flat();
  }
  return headers;
}
