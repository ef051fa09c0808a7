import type { IncomingMessage, ServerResponse } from 'node:http';
import { foldHeaderName, isIdentityHeader } from '../contract/header-names.ts';
import { BodyTooLarge, type ProblemResponse } from './problem.ts';

/**
 * Reads the whole body and puts it back, so that the next reader (a JSON parser or a stream) sees it unread. The bytes
 * are those on the wire, before any parser or decompression.
 *
 * @throws BodyTooLarge beyond `maxBytes`; Error when the client disconnects.
 */
export async function readAndRestoreBody(req: IncomingMessage, maxBytes: number): Promise<Buffer> {
  if (Number(req.headers['content-length'] ?? 0) > maxBytes) throw new BodyTooLarge();
  if (req.readableEnded || (req.complete && req.readableLength === 0)) return Buffer.alloc(0);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let total = 0;
    const settle = (finish: () => void) => {
      req.off('readable', onReadable).off('error', onDisconnect).off('close', onDisconnect);
      finish();
    };
    const onDisconnect = () => settle(() => reject(new Error('the client disconnected before the request body ended')));
    const onReadable = () => {
      for (let chunk: Buffer | null = req.read(); chunk !== null; chunk = req.read()) {
        chunks.push(chunk);
        total += chunk.byteLength;
        if (total > maxBytes) return settle(() => reject(new BodyTooLarge()));
      }
      if (!req.complete) return;
      const body = Buffer.concat(chunks, total);
      // In the same tick as the last read: Node emits 'end' only if the buffer is still empty afterwards.
      if (total > 0) req.unshift(body);
      settle(() => resolve(body));
    };
    req.on('readable', onReadable).on('error', onDisconnect).on('close', onDisconnect);
  });
}

/** Removes every identity header and alias, so that no later code can read an unverified one. */
export function stripIdentityHeaders(req: IncomingMessage): void {
  // Node builds `headers` and `headersDistinct` from rawHeaders on first access, so read them before it changes.
  const { rawHeaders, headers, headersDistinct } = req;
  for (let index = rawHeaders.length - 2; index >= 0; index -= 2) {
    if (isIdentityHeader(foldHeaderName(rawHeaders[index] ?? ''))) rawHeaders.splice(index, 2);
  }
  for (const parsed of [headers, headersDistinct]) {
    for (const name of Object.keys(parsed)) if (isIdentityHeader(foldHeaderName(name))) delete parsed[name];
  }
}

/**
 * The request id for a response: the id in the service's log, or else the caller's.
 *
 * @param res The response, on which a middleware may have set `x-request-id`.
 */
export function requestIdOf(req: IncomingMessage, res?: Pick<ServerResponse, 'getHeader'>): string | undefined {
  const id = res?.getHeader('x-request-id') ?? req.headers['x-request-id'];
  return typeof id === 'string' ? id : undefined;
}

export function send(res: ServerResponse, { status, headers, body }: ProblemResponse): void {
  res.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) }).end(body);
}
