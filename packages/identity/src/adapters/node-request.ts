import type { IncomingMessage, ServerResponse } from 'node:http';
import { foldHeaderName, isIdentityHeader } from '../contract/header-names.ts';
import type { Verifier } from '../verify/verify.ts';
import { BodyTooLarge, type ProblemResponse, problemForError } from './problem.ts';
import { rememberIdentity } from './verified.ts';

type Verification = Readonly<{
  verifier: Verifier;
  target: string;
  /** Whether the body may lack a digest. Default: no. */
  isStream?: () => boolean;
  /** Undefined for an upgrade, which has no body. */
  maxBodyBytes?: number;
  response?: Pick<ServerResponse, 'getHeader'>;
}>;

/**
 * Verifies a request and records its identity. If it is refused or cannot be checked, removes the identity headers.
 *
 * @returns The response to a refused request. Undefined if it was accepted.
 * @throws Any error that this package does not answer.
 */
export async function verifyRequest(req: IncomingMessage, { verifier, target, ...given }: Verification) {
  const { method = '', rawHeaders } = req;
  const { isStream, maxBodyBytes, response } = given;
  try {
    const head = await verifier.verifyHead({ method, target, rawHeaders, stream: isStream?.() ?? false });
    const readsBody = head.needsBody && maxBodyBytes !== undefined;
    rememberIdentity(req, await head.complete(readsBody ? await readAndRestoreBody(req, maxBodyBytes) : undefined));
    return undefined;
  } catch (error) {
    const refusal = problemForError(error, { target, requestId: requestIdOf(req, response) });
    stripIdentityHeaders(req);
    if (refusal === undefined) throw error;
    return refusal;
  }
}

/**
 * Reads the whole body and puts it back, so that the next reader (a JSON parser or a stream) sees it unread. The bytes
 * are those on the wire, before any parser or decompression.
 *
 * @throws BodyTooLarge beyond `maxBytes`; Error when the client disconnects.
 */
async function readAndRestoreBody(req: IncomingMessage, maxBytes: number): Promise<Buffer> {
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

const isReservedForRefusals = (name: unknown) => String(name).toLowerCase().startsWith('x-identity-');

/**
 * Removes `x-identity-*` from the response of the service's own handlers. A handler that relays another service's 401
 * would otherwise make the gateway sign with ed25519.
 */
export function stripResponse(res: ServerResponse): void {
  // Node calls it for every response, also without a call by the handler.
  const { writeHead } = res;
  res.writeHead = (status: number, ...rest: unknown[]) => {
    for (const name of res.getHeaderNames()) if (isReservedForRefusals(name)) res.removeHeader(name);
    return Reflect.apply(writeHead, res, [status, ...rest.map(withoutIdentity)]);
  };
}

/** @param given Headers as `writeHead` takes them: an object, pairs, or alternating names and values. */
function withoutIdentity(given: unknown): unknown {
  if (typeof given !== 'object' || given === null) return given;
  if (!Array.isArray(given)) return Object.fromEntries(Object.entries(given).filter(isAllowed));
  if (Array.isArray(given[0])) return given.filter(isAllowed);
  return given.filter((_, at) => !isReservedForRefusals(given[at - (at % 2)]));
}

const isAllowed = ([name]: readonly unknown[]) => !isReservedForRefusals(name);

/** @returns The id that a middleware has set on the response, or else the caller's. */
export function requestIdOf(req: IncomingMessage, res?: Pick<ServerResponse, 'getHeader'>): string | undefined {
  const id = res?.getHeader('x-request-id') ?? req.headers['x-request-id'];
  return typeof id === 'string' ? id : undefined;
}

export function send(res: ServerResponse, { status, headers, body }: ProblemResponse): void {
  res.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) }).end(body);
}
