import type { IncomingMessage } from 'node:http';
import { AppError } from '../errors.ts';
import { hasContent, type Matched } from '../exchange.ts';
import { type MinRate, watchRate, wholeBodyRate } from '../limits/min-rate.ts';

// Bounds a body that arrives steadily but never ends.
const wholeBodyMs = 30_000;

/**
 * Reads a whole body into memory, never more than `maxBytes` of it.
 *
 * @throws AppError `payload_too_large` as soon as `maxBytes` is exceeded. `request_timeout` after 30 s, or if the body
 *   arrives more slowly than `rate`. `invalid_request` if the client disconnects or its chunks are malformed.
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
    const broken = () => new AppError('invalid_request', { detail: { reason: 'the body is incomplete' } });
    const onBroken = () => settle(() => reject(broken()));
    // The client disconnected earlier, so no further event comes.
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
      // Pauses the request: the response decides what happens to the rest of the body.
      request.pause();
      how();
    }
    request.on('data', onData).once('end', onEnd).once('error', onBroken).once('close', onBroken);
  });
}

/**
 * Applies the route's body mode: reads the body whole, leaves it to be streamed, or refuses it.
 *
 * @returns A promise only if bytes must be read; undefined if there is no body.
 * @throws AppError `body_not_allowed`, `payload_too_large`, `unsupported_media_type`. Rejects with `request_timeout`
 *   and `invalid_request` too.
 */
export function takeContent(matched: Matched): Buffer | 'stream' | undefined | Promise<Buffer> {
  const { route, method, body, request } = matched;
  if (!body.present) return undefined;
  if (route.body.mode === 'none' || !hasContent(method)) throw new AppError('body_not_allowed');
  if ((body.length ?? 0) > route.body.maxBytes) throw new AppError('payload_too_large');
  if (route.body.mode === 'stream') return 'stream';
  // A decoder would see other bytes than the signed ones, and perhaps very many of them.
  if (body.encoding !== undefined) {
    throw new AppError('unsupported_media_type', { detail: { reason: 'content-encoding' } });
  }
  matched.acceptBody();
  return readBody(request, { maxBytes: route.body.maxBytes, rate: wholeBodyRate(route.upstream) });
}
