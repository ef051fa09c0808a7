import type { IncomingMessage, ServerResponse } from 'node:http';
import { foldHeaderName, isIdentityHeader } from '../contract/header-names.ts';
import { BodyTooLarge, type ProblemResponse } from './problem.ts';

/**
 * Reads the whole body and puts it back, so that whoever comes next (a JSON parser, a stream) reads it as if for the first time.
 * The bytes are those on the wire: before any parser, before any decompression.
 *
 * @throws BodyTooLarge beyond `maxBytes`; Error when the client goes away.
 */
export async function readAndRestoreBody(req: IncomingMessage, maxBytes: number): Promise<Buffer> {
  if (Number(req.headers['content-length'] ?? 0) > maxBytes) throw new BodyTooLarge();
  if (req.readableEnded || (req.complete && req.readableLength === 0)) return Buffer.alloc(0);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let total = 0;
    const settle = (finish: () => void) => {
      req.off('readable', onReadable).off('error', onGone).off('close', onGone);
      finish();
    };
    const onGone = () => settle(() => reject(new Error('the request ended before its body did')));
    const onReadable = () => {
      for (let chunk: Buffer | null = req.read(); chunk !== null; chunk = req.read()) {
        chunks.push(chunk);
        total += chunk.byteLength;
        if (total > maxBytes) return settle(() => reject(new BodyTooLarge()));
      }
      if (!req.complete) return;
      const body = Buffer.concat(chunks, total);
      // In the same turn in which the last byte was read: 'end' is emitted only if the buffer is still empty afterwards.
      if (total > 0) req.unshift(body);
      settle(() => resolve(body));
    };
    req.on('readable', onReadable).on('error', onGone).on('close', onGone);
  });
}

/** Removes every header that could pass for an identity, so that nothing behind can read one that was not verified. */
export function stripIdentityHeaders(req: IncomingMessage): void {
  const { rawHeaders, headers, headersDistinct } = req; // Both forms are built from rawHeaders when first read: before it changes.
  for (let index = rawHeaders.length - 2; index >= 0; index -= 2) {
    if (isIdentityHeader(foldHeaderName(rawHeaders[index] ?? ''))) rawHeaders.splice(index, 2);
  }
  for (const parsed of [headers, headersDistinct]) {
    for (const name of Object.keys(parsed)) if (isIdentityHeader(foldHeaderName(name))) delete parsed[name];
  }
}

/**
 * The request id to quote in an answer: the one under which the service already logs this request, or else the caller's own.
 *
 * @param res The answer, where a middleware may have put an id.
 */
export function requestIdOf(req: IncomingMessage, res?: Pick<ServerResponse, 'getHeader'>): string | undefined {
  const id = res?.getHeader('x-request-id') ?? req.headers['x-request-id'];
  return typeof id === 'string' ? id : undefined;
}

export function send(res: ServerResponse, { status, headers, body }: ProblemResponse): void {
  res.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) }).end(body);
}
