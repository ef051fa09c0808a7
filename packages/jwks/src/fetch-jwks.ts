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
}>;

/** @throws RangeError that names the option and never its value, which may carry credentials. */
export function assertUrl(text: string | undefined): void {
  const wanted = "url must be the key set's http or https URL, without credentials";
  if (text === undefined || text === '') throw new RangeError(`${wanted}: it is not set`);
  if (!URL.canParse(text)) throw new RangeError(`${wanted}: it is not an absolute URL`);
  const { protocol, username, password } = new URL(text);
  if (protocol !== 'http:' && protocol !== 'https:') throw new RangeError(`${wanted}: it is ${protocol}`);
  if (username !== '' || password !== '') throw new RangeError(`${wanted}: it carries some`);
}

const redirects = [301, 302, 303, 307, 308];

/**
 * Fetches a key set once. Everything is bounded: `timeoutMs` for the whole exchange, the last byte included, and
 * `maxBytes` of inflated body. Redirects are not followed: whoever can redirect us could name any key.
 */
export async function fetchJwks(request: FetchRequest): Promise<FetchedJwks> {
  const late = AbortSignal.timeout(request.timeoutMs);
  try {
    const response = await fetch(request.url, {
      redirect: 'manual',
      signal: AbortSignal.any([late, request.signal]),
      headers: {
        accept: 'application/jwk-set+json, application/json',
        // Ours, or fetch adds `no-cache`, for which Express and others answer in full whatever the ETag. In full is meant without one: a
        // copy that a cache in between holds may be from before the key that is looked for.
        ...(request.etag === undefined
          ? { 'cache-control': 'no-cache' }
          : { 'if-none-match': request.etag, 'cache-control': 'max-age=0' }),
      },
    });
    return await readAnswer(response, request);
  } catch (error) {
    // fetch reports refused, reset, bad gzip and bad HTTP as one TypeError; only being late is told apart.
    if (late.aborted) return { outcome: 'failed', reason: 'timeout' };
    return { outcome: 'failed', reason: 'network', detail: causeOf(error) };
  }
}

async function readAnswer(response: Response, request: FetchRequest): Promise<FetchedJwks> {
  const maxAgeMs = maxAgeOf(response.headers);
  if (response.status === 304 && request.etag !== undefined) return { outcome: 'unchanged', maxAgeMs };
  if (response.status !== 200) {
    await response.body?.cancel();
    const reason = redirects.includes(response.status) ? 'redirect' : 'status';
    return { outcome: 'failed', reason, detail: `status ${response.status}` };
  }
  const body = await readAtMost(response, request.maxBytes);
  if (body === undefined) return { outcome: 'failed', reason: 'oversized' };
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
    return { outcome: 'fetched', value, etag: response.headers.get('etag') ?? undefined, maxAgeMs };
  } catch {
    return { outcome: 'failed', reason: 'malformed' };
  }
}

/** The system's code, such as `ECONNREFUSED`, is in the cause of the TypeError. */
function causeOf(error: unknown): string | undefined {
  const { cause } = error as { cause?: { code?: unknown; message?: unknown } };
  const said = cause?.code ?? cause?.message;
  return typeof said === 'string' ? said : undefined;
}

/** Counts what comes out of the decompressor, so that a small gzip bomb is a large body. */
async function readAtMost(response: Response, maxBytes: number): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  // Leaving the loop cancels the body, and with it the connection.
  for await (const chunk of response.body ?? []) {
    total += chunk.byteLength;
    if (total > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** What is left of `max-age` (RFC 9111 sections 4.2.1 and 4.2.3); 0 for `no-store` and `no-cache`. */
function maxAgeOf(headers: Headers): number | undefined {
  const control = (headers.get('cache-control') ?? '').slice(0, 512).toLowerCase();
  const directives = control.split(',').map((part) => part.trim());
  if (directives.includes('no-store') || directives.includes('no-cache')) return 0;
  const maxAge = directives.find((part) => part.startsWith('max-age='))?.slice('max-age='.length);
  if (maxAge === undefined || !/^\d{1,9}$/.test(maxAge)) return undefined;
  const age = headers.get('age') ?? '0';
  return Math.max(0, Number(maxAge) - (/^\d{1,9}$/.test(age) ? Number(age) : 0)) * 1000;
}
