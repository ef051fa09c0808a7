import type { IncomingMessage } from 'node:http';
import { Transform } from 'node:stream';
import { AppError } from '../../errors.ts';
import { type MinRate, watchRate } from '../../limits/min-rate.ts';

/**
 * The client's body as a stream to the service, with backpressure. Apart from the request itself: undici destroys the body
 * of an attempt that failed, and with the request that would be the very socket that the answer has to go through.
 *
 * @param limits The rate counts while the service would take more.
 */
export function requestBody(
  request: IncomingMessage,
  limits: Readonly<{ maxBytes: number; rate: MinRate }>,
): Transform {
  let bytes = 0;
  const body = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      if (bytes > limits.maxBytes) done(new AppError('payload_too_large', { detail: { maxBytes: limits.maxBytes } }));
      else done(null, chunk);
    },
  });
  // A full buffer is the service's slowness, and has a limit of its own.
  const bytesNow = () => (body.writableNeedDrain ? undefined : bytes);
  const watch = watchRate(limits.rate, bytesNow, () => body.destroy(new AppError('request_timeout')));
  const onClose = () => {
    if (!request.complete)
      body.destroy(new AppError('invalid_request', { detail: { reason: 'the client went away' } }));
  };
  // The attempt that reads it reports its errors. After the answer nobody reads it, and an error is then no news.
  body.on('error', () => {}).on('drain', watch.restart);
  request.once('end', watch.stop).once('close', onClose);
  body.once('close', () => {
    watch.stop();
    request.off('end', watch.stop).off('close', onClose);
    request.unpipe(body);
  });
  request.pipe(body);
  return body;
}
