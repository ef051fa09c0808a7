import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AgreementKeys } from '../keys/agreement-keys.ts';

/** The path at which a service publishes its key agreement keys. */
const keySetPath = '/.well-known/jwks.json';

export type PublishedKeySet = Readonly<{
  headers: Readonly<Record<'content-type' | 'cache-control' | 'etag', string>>;
  body: string;
}>;

/** Short, so that the gateway's fetches find a new key. */
const cacheControl = 'public, max-age=60';

export function isKeySetRequest(method: string | undefined, target: string): boolean {
  return (method === 'GET' || method === 'HEAD') && target.split('?', 1)[0] === keySetPath;
}

/**
 * Adds the keys for agreement to a service's own key set, which stays as it is.
 *
 * @param own The service's response.
 * @returns The response to send instead. Undefined if the service responds with neither a key set nor a 404, for example
 *   with a redirect to its key set: that response stays as it is.
 */
export function publishKeys(
  agreement: AgreementKeys,
  own: Readonly<{ status: number; body: string }>,
): PublishedKeySet | undefined {
  const set = own.status === 200 ? parseKeySet(own.body) : own.status === 404 ? { keys: [] } : undefined;
  if (set === undefined) return undefined;
  const entries = set.keys;
  const known = new Set(entries.map((entry) => (entry as { kid?: unknown } | null)?.kid));
  const added = agreement.published().filter(({ kid }) => !known.has(kid));
  const body = JSON.stringify({ ...set, keys: [...entries, ...added] });
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
  return { headers: { 'content-type': 'application/jwk-set+json', 'cache-control': cacheControl, etag }, body };
}

function parseKeySet(body: string): Readonly<{ keys: readonly unknown[] }> | undefined {
  try {
    const set: unknown = JSON.parse(body);
    const keys = (set as { keys?: unknown } | null)?.keys;
    return Array.isArray(keys) ? { ...(set as object), keys } : undefined;
  } catch {
    return undefined;
  }
}

/** Headers in the service's response that no longer fit the changed body. */
const replacedHeaders = ['content-length', 'content-encoding', 'transfer-encoding', 'last-modified', 'location'];
/** These could make the service send no body, or a compressed one. */
const conditionHeaders = ['if-none-match', 'if-modified-since', 'accept-encoding', 'range'];

/** Makes the service's handlers respond with the whole set. @returns The `if-none-match` of the request. */
export function askForWholeSet(req: IncomingMessage): string | undefined {
  const seen = req.headers['if-none-match'];
  for (const name of conditionHeaders) delete req.headers[name];
  return seen;
}

/** Adds the keys for agreement to the response of the service's next handlers. */
export function publishOn(req: IncomingMessage, res: ServerResponse, agreement: AgreementKeys): void {
  const seen = askForWholeSet(req);
  const { method } = req;
  // A handler's response to HEAD has no body to add to. Node sends none to HEAD in any case.
  req.method = 'GET';
  captureBody(res, (body) => {
    req.method = method;
    const published = publishKeys(agreement, { status: res.statusCode, body: body.toString() });
    if (published === undefined) return body;
    for (const name of replacedHeaders) res.removeHeader(name);
    for (const [name, value] of Object.entries(published.headers)) res.setHeader(name, value);
    res.statusCode = seen === published.headers.etag ? 304 : 200;
    if (res.statusCode === 304) return '';
    res.setHeader('content-length', Buffer.byteLength(published.body));
    return published.body;
  });
}

/** Holds a response back until it is complete, and sends what `finish` returns. */
function captureBody(res: ServerResponse, finish: (body: Buffer) => Buffer | string): void {
  const { writeHead, flushHeaders, write, end } = res;
  const chunks: Buffer[] = [];
  const take = (chunk: unknown, encoding: unknown) => {
    if (typeof chunk === 'string') chunks.push(Buffer.from(chunk, encoding as BufferEncoding));
    else if (chunk instanceof Uint8Array) chunks.push(Buffer.from(chunk));
  };
  const callbackIn = (args: readonly unknown[]) => args.find((arg) => typeof arg === 'function') as () => void;
  Object.assign(res, {
    writeHead(status: number, ...rest: unknown[]) {
      res.statusCode = status;
      setHeaders(res, rest.at(-1));
      return res;
    },
    flushHeaders() {},
    write(chunk: unknown, ...rest: unknown[]) {
      take(chunk, rest[0]);
      callbackIn(rest)?.();
      return true;
    },
    end(...args: unknown[]) {
      take(args[0], args[1]);
      // Other middleware may already have replaced these functions.
      Object.assign(res, { writeHead, flushHeaders, write, end });
      return res.end(finish(Buffer.concat(chunks)), callbackIn(args));
    },
  });
}

function setHeaders(res: ServerResponse, headers: unknown): void {
  if (typeof headers !== 'object' || headers === null) return;
  // Alternating names and values, or an object.
  const pairs = Array.isArray(headers)
    ? headers.flatMap((name, at) => (at % 2 === 0 ? [[name, headers[at + 1]] as const] : []))
    : Object.entries(headers);
  for (const [name, value] of pairs) res.setHeader(name, value);
}
