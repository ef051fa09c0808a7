import { addressKey } from '@countersign/process-kit';
import { AppError } from '../errors.ts';
import type { BodyStream, Signed } from './exchange.ts';
import { bucketKeys } from './limit.ts';

/** Anything that stays open until it emits `close`: a socket, or a stand-in for one. */
export type Open = Readonly<{ destroyed: boolean; once(event: 'end' | 'close', listener: () => void): unknown }>;

/** Counts what is open now: WebSockets per user, or streamed bodies per address. Each process counts separately. */
export class ConcurrencyCounter {
  readonly #open = new Map<string, number>();

  /** @returns A function that releases the slot, and that may be called twice. Undefined if `max` are already open. */
  take(key: string, max: number): (() => void) | undefined {
    const open = this.#open;
    const count = open.get(key) ?? 0;
    if (count >= max) return undefined;
    open.set(key, count + 1);
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      const left = (open.get(key) ?? 1) - 1;
      if (left === 0) open.delete(key);
      else open.set(key, left);
    };
  }
}

/**
 * Counts a streamed body against its client address's limit, until it has arrived or the client disconnects. A client
 * may send a streamed body as slowly as it likes, and the body occupies a connection to the service meanwhile.
 *
 * @param maxPerAddress Across all routes of this process. The stage throws AppError `rate_limited` with `Retry-After`.
 */
export function createClaimUpload(
  uploads: ConcurrencyCounter,
  maxPerAddress: number,
): (signed: Signed, stream?: Open & Pick<BodyStream, 'complete'>) => void {
  return (signed, stream = signed.stream) => {
    // A disconnected client emits no further event, so its slot would never be released.
    if (stream.complete || stream.destroyed) return;
    const release = uploads.take(addressKey(signed.client.address), maxPerAddress);
    if (release === undefined) {
      throw new AppError('rate_limited', {
        headers: { 'retry-after': '1' },
        detail: { reason: 'uploads of one address', maxPerAddress },
      });
    }
    stream.once('end', release);
    stream.once('close', release);
  };
}

/**
 * Checks the WebSocket version, and counts the socket against its user's limit. Takes the slot before the handshake,
 * so that concurrent handshakes count too, and releases it when the socket closes.
 *
 * @param maxPerUser Across all routes of this process. Anonymous callers are counted by address. The stage throws
 *   AppError `websocket_version_refused` and `too_many_sockets`.
 * @see RFC 6455 section 4.4
 */
export function createClaimSocket(
  sockets: ConcurrencyCounter,
  maxPerUser: number,
): (signed: Signed, socket: Open) => void {
  return (signed, socket) => {
    if (signed.upgrade?.version !== '13') {
      throw new AppError('websocket_version_refused', {
        headers: { 'sec-websocket-version': '13', upgrade: 'websocket' },
      });
    }
    if (socket.destroyed) throw new AppError('invalid_request', { detail: { reason: 'the client disconnected' } });
    const release = sockets.take(bucketKeys.user(signed), maxPerUser);
    if (release === undefined) throw new AppError('too_many_sockets', { detail: { maxPerUser } });
    socket.once('close', release);
  };
}
