import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { AppError } from '../../errors.ts';
import { chosenSubprotocol } from '../../http/subprotocols.ts';
import { type Signed, tokenStatusOf } from '../../pipeline/exchange.ts';
import { recordFailure } from '../../pipeline/request-record.ts';
import { dropLength, filterHeaders, refusedIdentity } from '../forward/response-headers.ts';
import type { EndConnection, OpenConnections, ResponseLifetime } from '../pool/open-connections.ts';
import type { Target } from '../pool/target.ts';

// Time for the client to read the response and close its side.
const lingerMs = 2_000;

/** One upgrade. http-proxy-middleware knows only the request, so the rest is looked up by it. */
export type UpgradeAttempt = Readonly<{
  signed: Signed;
  target: Target;
  fail(error: unknown): void;
  onConnected(): void;
  /** The service responded, with any status. */
  onResponse(): void;
  onUpgraded(service: Socket): void;
  /** The response is not 101; the client gets it. */
  onDeclined(response: IncomingMessage, lifetime: ResponseLifetime): void;
}>;

/** Handles the service's response before http-proxy-middleware does, which attaches its own listeners later. */
export function handleUpgradeResponse(
  outgoing: ClientRequest,
  socket: Socket,
  { signed, target, fail, ...handlers }: UpgradeAttempt,
): void {
  const { route, record } = signed;
  const sentAt = performance.now();
  const timer = setTimeout(
    () => outgoing.destroy(new AppError('upstream_timeout')),
    route.upstream.timeouts.responseMs,
  );
  const giveUp = () => outgoing.destroy();
  socket.once('close', giveUp);

  const receive = (response: IncomingMessage) => {
    clearTimeout(timer);
    handlers.onResponse();
    socket.off('close', giveUp);
    record.upstreamMs = performance.now() - sentAt;
    const headers = filterHeaders(response.rawHeaders, signed);
    const { passing } = headers;
    if (response.statusCode === 101 || response.statusCode === 204) dropLength(passing);
    response.headers = headerObject([...passing, 'x-request-id', record.requestId]);
    return headers;
  };
  outgoing.once('close', () => clearTimeout(timer));
  outgoing.once('socket', (service: Socket) => {
    service.once(target.origin.startsWith('https:') ? 'secureConnect' : 'connect', handlers.onConnected);
  });
  outgoing.once('response', (response: IncomingMessage) => {
    const framing = response.headers['transfer-encoding'];
    const headers = receive(response);
    const upstream = { upstream: route.upstream.name, target: target.origin };
    record.status = response.statusCode ?? 502;
    const refusal = refusedIdentity(record.status, headers, upstream);
    if (refusal !== undefined) {
      fail(refusal);
      return;
    }
    if (response.statusCode === 101) {
      fail(
        new AppError('upstream_invalid_response', { detail: { ...upstream, reason: '101 without an Upgrade header' } }),
      );
      socket.destroySoon();
      return;
    }
    handlers.onDeclined(response, headers.lifetime);
    if (framing !== undefined) response.headers['transfer-encoding'] = framing;
    // Discards what the client still sends; unread bytes would keep the socket open.
    socket.resume();
    socket.once('finish', () => endAfter(socket, lingerMs));
  });
  outgoing.once('upgrade', (response: IncomingMessage, service: Socket) => {
    const protocol = response.headers.upgrade?.toLowerCase();
    receive(response);
    if (protocol !== 'websocket') {
      service.destroy();
      fail(
        new AppError('upstream_invalid_response', { detail: { reason: 'the service switched to another protocol' } }),
      );
      socket.destroySoon();
      return;
    }
    const subprotocol = chosenSubprotocol(response.headers['sec-websocket-protocol'], signed.upgrade);
    if (subprotocol === undefined) {
      service.destroy();
      fail(
        new AppError('upstream_invalid_response', {
          detail: { reason: 'the service chose a subprotocol that was not offered' },
        }),
      );
      socket.destroySoon();
      return;
    }
    record.status = 101;
    response.headers = { ...response.headers, ...subprotocol, connection: 'Upgrade', upgrade: 'websocket' };
    handlers.onUpgraded(service);
  });
}

function endAfter(socket: Socket, ms: number): void {
  const timer = setTimeout(() => socket.destroy(), ms);
  socket.once('close', () => clearTimeout(timer));
}

/**
 * Watches a response other than 101 while http-proxy-middleware pipes it to the client. It may be endless: a service
 * without WebSocket support may send an event stream. So it ends with its token or route like every response, and after
 * the idle timeout. The client sees its connection close, because it already has the head.
 */
export function followDeclined(
  response: IncomingMessage,
  lifetime: ResponseLifetime,
  { signed, socket, open }: Readonly<{ signed: Signed; socket: Socket; open: OpenConnections }>,
): void {
  const { route, caller, record } = signed;
  const token = tokenStatusOf(caller);
  const end: EndConnection = (reason) => {
    if (reason !== undefined) recordFailure(record, reason);
    socket.destroy();
  };
  response.setTimeout(route.upstream.timeouts.idleMs, () => end(new AppError('upstream_timeout')));
  socket.once('close', open.add(lifetime, { route, token }, end));
  if (lifetime === 'endless') signed.detach();
}

/** @param flat Alternating names and values; repeated names become a list. */
function headerObject(flat: readonly string[]): IncomingHttpHeaders {
  const headers: Record<string, string | string[]> = Object.create(null);
  for (let at = 0; at < flat.length; at += 2) {
    const name = (flat[at] ?? '').toLowerCase();
    const value = flat[at + 1] ?? '';
    const before = headers[name];
    headers[name] = before === undefined ? value : [before, value].flat();
  }
  return headers;
}
