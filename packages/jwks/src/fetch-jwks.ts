import { trimOws } from './ows.ts';

export type FetchFailure = 'network' | 'timeout' | 'redirect' | 'status' | 'oversized' | 'malformed';

export type FetchedJwks =
  | { outcome: 'fetched'; value: unknown; etag: string | undefined; maxAgeMs: number | undefined }
  | { outcome: 'unchanged'; maxAgeMs: number | undefined }
  | { outcome: 'failed'; reason: FetchFailure; detail?: string | undefined };

export type FetchRequest = Readonly<{
  url: string;
  etag: string | undefined;
  timeoutMs: number;
  maxBytes: number;
  signal: AbortSignal;
  /** Default: the global fetch. */
  fetch?: typeof fetch | undefined;
}>;

/** @throws RangeError if the URL is invalid. The message never contains the URL, which may hold credentials. */
export function assertUrl(text: string | undefined): void {
  const expected = "url must be the key set's http or https URL, without credentials";
  if (text === undefined || text === '') throw new RangeError(`${expected}: it is not set`);
  if (!URL.canParse(text)) throw new RangeError(`${expected}: it is not an absolute URL`);
  const { protocol, username, password } = new URL(text);
  if (protocol !== 'http:' && protocol !== 'https:') throw new RangeError(`${expected}: it is ${protocol}`);
  if (username !== '' || password !== '') throw new RangeError(`${expected}: it contains credentials`);
}

const redirects = [301, 302, 303, 307, 308];

/**
 * Fetches a key set or another JSON document once. `timeoutMs` limits the whole exchange up to the last byte, and
 * `maxBytes` limits the decompressed body. Refuses redirects, because an attacker who controls a redirect could supply
 * any key.
 */
export async function fetchJwks(request: FetchRequest): Promise<FetchedJwks> {
  const late = AbortSignal.timeout(request.timeoutMs);
  try {
    const response = await (request.fetch ?? fetch)(request.url, {
      redirect: 'manual',
      signal: AbortSignal.any([late, request.signal]),
      headers: {
        accept: 'application/jwk-set+json, application/json',
        // With only `if-none-match`, fetch adds `no-cache`, and Express and others then ignore the ETag. Without an
        // ETag, `no-cache` is intended: a copy in an intermediate cache may be older than the key that is looked up.
        ...(request.etag === undefined
          ? { 'cache-control': 'no-cache' }
          : { 'if-none-match': request.etag, 'cache-control': 'max-age=0' }),
      },
    });
    return await readResponse(response, request);
  } catch (error) {
    // fetch throws the same TypeError for everything else.
    if (late.aborted) return { outcome: 'failed', reason: 'timeout' };
    return { outcome: 'failed', reason: 'network', detail: causeOf(error) };
  }
}

async function readResponse(response: Response, request: FetchRequest): Promise<FetchedJwks> {
  const maxAgeMs = maxAgeOf(response.headers);
  if (response.status === 304 && request.etag !== undefined) return { outcome: 'unchanged', maxAgeMs };
  if (response.status !== 200) {
    await response.body?.cancel();
    const reason = redirects.includes(response.status) ? 'redirect' : 'status';
    return { outcome: 'failed', reason, detail: `status ${response.status}` };
  }
  const body = await readBody(response, request.maxBytes);
  if (body === undefined) return { outcome: 'failed', reason: 'oversized' };
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
    return { outcome: 'fetched', value, etag: response.headers.get('etag') ?? undefined, maxAgeMs };
  } catch {
    return { outcome: 'failed', reason: 'malformed' };
  }
}

/** Returns the system error code, such as `ECONNREFUSED`, from the TypeError's cause. */
function causeOf(error: unknown): string | undefined {
  const { cause } = error as { cause?: { code?: unknown; message?: unknown } };
  const detail = cause?.code ?? cause?.message;
  return typeof detail === 'string' ? detail : undefined;
}

/** Reads the body up to `maxBytes` after decompression, so that a gzip bomb is refused. Undefined if it is larger. */
export async function readBody(
  { body }: Readonly<{ body: AsyncIterable<Uint8Array> | null }>,
  maxBytes: number,
): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  // Returning early cancels the body and closes the connection.
  for await (const chunk of body ?? []) {
    total += chunk.byteLength;
    if (total > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Returns the remaining `max-age` (RFC 9111 sections 4.2.1 and 4.2.3). 0 for `no-store` and `no-cache`. */
function maxAgeOf(headers: Headers): number | undefined {
  const control = (headers.get('cache-control') ?? '').slice(0, 512).toLowerCase();
  const directives = control.split(',').map((part) => trimOws(part));
  if (directives.includes('no-store') || directives.includes('no-cache')) return 0;
  const maxAge = directives.find((part) => part.startsWith('max-age='))?.slice('max-age='.length);
  if (maxAge === undefined || !/^\d{1,9}$/.test(maxAge)) return undefined;
  const age = headers.get('age') ?? '0';
  return Math.max(0, Number(maxAge) - (/^\d{1,9}$/.test(age) ? Number(age) : 0)) * 1000;
}
