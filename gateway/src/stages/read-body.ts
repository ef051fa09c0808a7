import type { IncomingMessage } from 'node:http';
import { AppError } from '../errors.ts';

// A body that is to be held whole must not trickle in for ever; one that is streamed has an idle limit instead.
const wholeBodyMs = 30_000;

/**
 * Reads a whole body into memory, never more than `maxBytes` of it.
 *
 * @throws AppError `payload_too_large` as soon as that is certain, `request_timeout` after 30 s, `invalid_request` when the
 *   client goes away or its chunks are malformed.
 */
export function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const timer = setTimeout(() => settle(() => reject(new AppError('request_timeout'))), wholeBodyMs);

    function onData(chunk: Buffer): void {
      bytes += chunk.length;
      if (bytes > maxBytes) settle(() => reject(new AppError('payload_too_large', { detail: { maxBytes } })));
      else chunks.push(chunk);
    }
    const onEnd = () => settle(() => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)));
    const onBroken = () =>
      settle(() => reject(new AppError('invalid_request', { detail: { reason: 'the body did not arrive whole' } })));
    // Its client left before: nothing more is heard of it.
    if (request.destroyed) {
      onBroken();
      return;
    }

    function settle(how: () => void): void {
      clearTimeout(timer);
      request.off('data', onData).off('end', onEnd).off('close', onBroken);
      // Not flowing: whoever answers decides what becomes of the rest.
      request.pause();
      how();
    }
    request.on('data', onData).once('end', onEnd).once('error', onBroken).once('close', onBroken);
  });
}
