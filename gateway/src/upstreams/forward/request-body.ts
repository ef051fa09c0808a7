import { Transform } from 'node:stream';
import { AppError } from '../../errors.ts';
import { uploadRate, watchRate } from '../../limits/min-rate.ts';
import { refusalOfSize, type Signed } from '../../pipeline/exchange.ts';

/** A failed attempt destroys this stream: destroying the request would destroy the socket of the response. */
export function requestBody({ stream, route }: Signed): Transform {
  const { maxBytes } = route.body;
  let bytes = 0;
  const body = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      done(refusalOfSize(bytes, maxBytes) ?? null, chunk);
    },
  });
  // A full buffer means that the service is slow, and another timeout handles that.
  const bytesNow = () => (body.writableNeedDrain ? undefined : bytes);
  const watch = watchRate(uploadRate(route.upstream), bytesNow, () => body.destroy(new AppError('request_timeout')));
  const onClose = () => {
    if (!stream.complete)
      body.destroy(new AppError('invalid_request', { detail: { reason: 'the client disconnected' } }));
  };
  // The attempt that reads the body reports its errors. After the response, errors no longer matter.
  body.on('error', () => {}).on('drain', watch.restart);
  stream.once('end', watch.stop).once('close', onClose);
  body.once('close', () => {
    watch.stop();
    stream.off('end', watch.stop).off('close', onClose);
    stream.unpipe(body);
  });
  stream.pipe(body);
  return body;
}
