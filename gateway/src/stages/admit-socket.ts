import type { Duplex } from 'node:stream';
import { AppError } from '../errors.ts';
import type { Signed } from '../exchange.ts';
import type { SocketCount } from '../limits/socket-count.ts';
import { bucketKey } from './limit.ts';

/**
 * The last look at an upgrade: the one version there is, and a place among the user's open WebSockets. It is held from the handshake
 * on, so that many at once are counted too, and given back when the socket closes, however that comes about.
 *
 * @param maxPerUser Over all routes of this process. A caller without identity counts by address.
 * The stage throws AppError `websocket_version_refused` and `too_many_sockets`.
 * @see RFC 6455 section 4.4
 */
export function createAdmitSocket(sockets: SocketCount, maxPerUser: number): (signed: Signed, socket: Duplex) => void {
  return (signed, socket) => {
    if (signed.upgrade?.version !== '13') {
      throw new AppError('websocket_version_refused', {
        headers: { 'sec-websocket-version': '13', upgrade: 'websocket' },
      });
    }
    if (socket.destroyed) throw new AppError('invalid_request', { detail: { reason: 'the client is gone' } });
    const release = sockets.take(bucketKey({ by: 'user' }, signed), maxPerUser);
    if (release === undefined) throw new AppError('too_many_sockets', { detail: { maxPerUser } });
    socket.once('close', release);
  };
}
