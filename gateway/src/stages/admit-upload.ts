import { AppError } from '../errors.ts';
import type { Signed } from '../exchange.ts';
import { addressKey } from '../limits/address-key.ts';
import type { SocketCount } from '../limits/socket-count.ts';

const retryAfterSec = 1;

/**
 * Gives a streamed body one of the places of its client's address, until all of it has arrived or the client is gone. Such a body may take as
 * long as its client likes, and holds a connection to the service meanwhile.
 *
 * @param maxPerAddress Over all routes of this process.
 * The stage throws AppError `rate_limited` with `Retry-After`.
 */
export function createAdmitUpload(uploads: SocketCount, maxPerAddress: number): (signed: Signed) => void {
  return ({ outbound, client, request }) => {
    // Of a client that left while its request was judged, no further event comes that would give the place back.
    if (outbound.body !== 'stream' || request.complete || request.destroyed) return;
    const release = uploads.take(addressKey(client.address), maxPerAddress);
    if (release === undefined) {
      throw new AppError('rate_limited', {
        headers: { 'retry-after': String(retryAfterSec) },
        detail: { reason: 'uploads of one address', maxPerAddress },
      });
    }
    request.once('end', release).once('close', release);
  };
}
