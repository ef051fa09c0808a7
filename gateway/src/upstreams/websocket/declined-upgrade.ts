import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { AppError, errorTable } from '../../errors.ts';
import { type Signed, tokenStatusOf } from '../../exchange.ts';
import { lifeOfAnswer } from '../http/response-lifetime.ts';
import type { EndConnection, OpenConnections } from '../pool/open-connections.ts';

/**
 * Watches over an answer to an upgrade that is no 101, while http-proxy-middleware pipes it to the client. A service that knows nothing of upgrades
 * answers them as plain requests, with a stream of events perhaps: so it ends with what let it in, like every answer, and when nothing
 * moves for the idle time. The client sees its connection broken off, since it has the head already.
 *
 * @param passing The answer's headers as the client gets them, name and value in turn.
 */
export function watchDeclined(
  answer: IncomingMessage,
  passing: readonly string[],
  { signed, socket, open }: Readonly<{ signed: Signed; socket: Socket; open: OpenConnections }>,
): void {
  const { route, caller, record } = signed;
  const token = tokenStatusOf(caller);
  const end: EndConnection = (reason) => {
    if (reason !== undefined) {
      record.code = reason.code;
      record.fault = errorTable[reason.code].fault;
    }
    socket.destroy();
  };
  answer.setTimeout(route.upstream.timeouts.idleMs, () => end(new AppError('upstream_timeout')));
  const life = lifeOfAnswer(passing);
  if (life === 'endless') {
    socket.once('close', open.addEndless({ route, token }, end));
    signed.detach();
  } else if (life === 'long' && token !== undefined) {
    socket.once('close', open.addLong(token, end));
  }
}
