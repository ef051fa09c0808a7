import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { AppError } from '../../errors.ts';
import type { Signed } from '../../exchange.ts';
import { chosenSubprotocol } from '../../http/subprotocols.ts';
import { refusedIdentity } from '../http/refused-identity.ts';
import { answerHeaders, dropLength } from '../http/response-headers.ts';
import type { Target } from '../pool/target.ts';
import { headerObject } from './upgrade-headers.ts';

// For the client to read an answer and close its side.
const lingerMs = 2_000;

/** What belongs to one upgrade while http-proxy-middleware, which knows the request only, carries it. */
export type Carried = Readonly<{
  signed: Signed;
  target: Target;
  fail(error: unknown): void;
  onConnected(): void;
  /** The service said something, whatever it was. */
  onAnswered(): void;
  onUpgraded(service: Socket): void;
  /** It is not 101, and the client gets it with these headers. */
  onDeclined(answer: IncomingMessage, passing: readonly string[]): void;
}>;

/** Sees the service's answer before http-proxy-middleware does, which only then hangs its own listeners on the request. */
export function watchUpgradeAnswer(
  outgoing: ClientRequest,
  socket: Socket,
  { signed, target, fail, ...told }: Carried,
): void {
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
    told.onAnswered();
    socket.off('close', giveUp);
    record.upstreamMs = performance.now() - sentAt;
    const headers = answerHeaders(answer.rawHeaders, signed);
    const { passing } = headers;
    if (answer.statusCode === 101 || answer.statusCode === 204) dropLength(passing);
    answer.headers = headerObject([...passing, 'x-request-id', record.requestId]);
    return headers;
  };
  outgoing.once('close', () => clearTimeout(timer));
  outgoing.once('socket', (service: Socket) => {
    service.once(target.origin.startsWith('https:') ? 'secureConnect' : 'connect', told.onConnected);
  });
  outgoing.once('response', (answer: IncomingMessage) => {
    const framing = answer.headers['transfer-encoding'];
    const headers = begin(answer);
    const upstream = { upstream: route.upstream.name, target: target.origin };
    record.status = answer.statusCode ?? 502;
    const refusal = refusedIdentity(record.status, headers, upstream);
    if (refusal !== undefined) {
      fail(refusal);
      return;
    }
    if (answer.statusCode === 101) {
      fail(new AppError('upstream_invalid_response', { detail: { ...upstream, reason: '101 without an upgrade' } }));
      socket.destroySoon();
      return;
    }
    told.onDeclined(answer, headers.passing);
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
    const subprotocol = chosenSubprotocol(answer.headers['sec-websocket-protocol'], signed.upgrade);
    if (subprotocol === undefined) {
      service.destroy();
      fail(new AppError('upstream_invalid_response', { detail: { reason: 'a subprotocol that was not offered' } }));
      socket.destroySoon();
      return;
    }
    record.status = 101;
    answer.headers = { ...answer.headers, ...subprotocol, connection: 'Upgrade', upgrade: 'websocket' };
    told.onUpgraded(service);
  });
}

function endAfter(socket: Socket, ms: number): void {
  const timer = setTimeout(() => socket.destroy(), ms);
  socket.once('close', () => clearTimeout(timer));
}
