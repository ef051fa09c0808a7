import type { IncomingMessage } from 'node:http';
import { AppError } from '../errors.ts';
import { type MinRate, watchRate } from '../limits/min-rate.ts';

// A body that is to be held whole must not come for ever, however steadily.
const wholeBodyMs = 30_000;

/**
 * Reads a whole body into memory, never more than `maxBytes` of it.
 *
 * @throws AppError `payload_too_large` as soon as that is certain, `request_timeout` after 30 s or when it comes more slowly than
 *   `rate`, `invalid_request` when the client goes away or its chunks are malformed.
 */
export function readBody(
  request: IncomingMessage,
  { maxBytes, rate }: Readonly<{ maxBytes: number; rate: MinRate }>,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const onTooSlow = () => settle(() => reject(new AppError('request_timeout')));

    function onData(chunk: Buffer): void {
      bytes += chunk.length;
      if (bytes > maxBytes) settle(() => reject(new AppError('payload_too_large', { detail: { maxBytes } })));
      else chunks.push(chunk);
    }
    const onEnd = () => settle(() => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)));
    const broken = () => new AppError('invalid_request', { detail: { reason: 'the body did not arrive whole' } });
    const onBroken = () => settle(() => reject(broken()));
    // Its client left before: nothing more is heard of it.
    if (request.destroyed) {
      reject(broken());
      return;
    }
    const timer = setTimeout(onTooSlow, wholeBodyMs);
    const watch = watchRate(rate, () => bytes, onTooSlow);

    function settle(how: () => void): void {
      clearTimeout(timer);
      watch.stop();
      request.off('data', onData).off('end', onEnd).off('close', onBroken);
      // Not flowing: whoever answers decides what becomes of the rest.
      request.pause();
      how();
    }
    request.on('data', onData).once('end', onEnd).once('error', onBroken).once('close', onBroken);
  });
}
