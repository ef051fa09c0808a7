import type { Duplex } from 'node:stream';
import { AppError } from '../errors.ts';
import { addressKey } from '../limits/address-key.ts';
import type { ConcurrencyCounter } from '../limits/concurrency-counter.ts';
import type { Signed } from './exchange.ts';
import { bucketKey } from './limit.ts';

const retryAfterSec = 1;

/**
 * Counts a streamed body against the limit of its client's address, until it has arrived or the client disconnects. A
 * streamed body may take as long as the client likes, and holds a connection to the service meanwhile.
 *
 * @param maxPerAddress Over all routes of this process.
 * The stage throws AppError `rate_limited` with `Retry-After`.
 */
export function createAdmitUpload(uploads: ConcurrencyCounter, maxPerAddress: number): (signed: Signed) => void {
  return ({ outbound, client, stream }) => {
    // A client that disconnected earlier emits no further event, so its place would never be released.
    if (outbound.body !== 'stream' || stream.complete || stream.destroyed) return;
    const release = uploads.take(addressKey(client.address), maxPerAddress);
    if (release === undefined) {
      throw new AppError('rate_limited', {
        headers: { 'retry-after': String(retryAfterSec) },
        detail: { reason: 'uploads of one address', maxPerAddress },
      });
    }
    stream.once('end', release).once('close', release);
  };
}

/**
 * Checks the WebSocket version, and counts the socket against the limit of its user. The place is taken before the
 * handshake, so that concurrent handshakes count too. It is released when the socket closes.
 *
 * @param maxPerUser Over all routes of this process. A caller without identity counts by address.
 * The stage throws AppError `websocket_version_refused` and `too_many_sockets`.
 * @see RFC 6455 section 4.4
 */
export function createAdmitSocket(
  sockets: ConcurrencyCounter,
  maxPerUser: number,
): (signed: Signed, socket: Duplex) => void {
  return (signed, socket) => {
    if (signed.upgrade?.version !== '13') {
      throw new AppError('websocket_version_refused', {
        headers: { 'sec-websocket-version': '13', upgrade: 'websocket' },
      });
    }
    if (socket.destroyed) throw new AppError('invalid_request', { detail: { reason: 'the client disconnected' } });
    const release = sockets.take(bucketKey({ by: 'user' }, signed), maxPerUser);
    if (release === undefined) throw new AppError('too_many_sockets', { detail: { maxPerUser } });
    socket.once('close', release);
  };
}
