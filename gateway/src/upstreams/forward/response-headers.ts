import { foldHeaderName, isIdentityHeader } from '@countersign/identity';
import { AppError } from '../../errors.ts';
import { maySetCookie } from '../../http/cookies.ts';
import { withoutHeaders } from '../../http/flat-headers.ts';
import { defaultSecurityHeaders } from '../../http/security-headers.ts';
import type { Signed } from '../../pipeline/exchange.ts';
import type { ResponseLifetime } from '../pool/open-connections.ts';

export type ResponseHeaders = Readonly<{
  /** Alternating names and values, as `writeHead` takes them; repeated headers stay separate. */
  passing: string[];
  /** The service refused our signature, for this reason. */
  identityRefused: string | undefined;
  /** The service could not check our signature, for this reason. */
  identityUnavailable: string | undefined;
  /** `Transfer-Encoding`, which is not forwarded. */
  transferEncoding: string | undefined;
  contentLength: string | undefined;
  lifetime: ResponseLifetime;
}>;

type ResponseDisposition =
  | 'pass'
  | 'drop'
  | 'connection'
  | 'content-length'
  | 'content-type'
  | 'transfer-encoding'
  | 'set-cookie'
  | 'identity-refused'
  | 'identity-unavailable'
  | 'limits'
  | 'cors'
  | 'nonce';

const dropped: ReadonlySet<string> = new Set([
  // Headers of the connection to the service.
  'proxy-connection',
  'keep-alive',
  'te',
  'trailer',
  'upgrade',
  'proxy-authenticate',
  'proxy-authorization',
  // Headers that name the service's software.
  'server',
  'x-powered-by',
]);

const limitHeaders: ReadonlySet<string> = new Set(['ratelimit', 'ratelimit-policy']);

/** A header name as one service writes it. `default` is its bit among the default headers, or 0. */
type KnownName = Readonly<{ disposition: ResponseDisposition; default: number }>;

const knownNames = new Map<string, KnownName>();
// Services choose these names, so the cache is bounded.
const maxRemembered = 1_000;

function lookUp(name: string): KnownName {
  const known = knownNames.get(name);
  if (known !== undefined) return known;
  const lower = name.toLowerCase();
  const index = defaultSecurityHeaders.indexOf(lower);
  const fresh = { disposition: classify(lower, foldHeaderName(name)), default: index === -1 ? 0 : 1 << index };
  // A copy: the name may be a slice of a whole head, which the cache would keep in memory.
  if (knownNames.size < maxRemembered) knownNames.set(Buffer.from(name, 'latin1').toString('latin1'), fresh);
  return fresh;
}

function classify(lower: string, folded: string): ResponseDisposition {
  if (folded === 'x-identity-refused') return 'identity-refused';
  if (folded === 'x-identity-unavailable') return 'identity-unavailable';
  if (folded === 'connection' || folded === 'set-cookie' || folded === 'transfer-encoding') return folded;
  if (lower === 'content-length' || lower === 'content-type') return lower;
  if (limitHeaders.has(folded)) return 'limits';
  if (folded.startsWith('access-control-')) return 'cors';
  if (folded === 'dpop-nonce') return 'nonce';
  return dropped.has(folded) || isIdentityHeader(folded) ? 'drop' : 'pass';
}

/**
 * Filters a service's response headers for the client. Drops identity headers, hop-by-hop headers and the names of the
 * service's software. Drops guarded cookies that the route does not name, and cookies for a foreign domain. Then adds
 * the gateway's own headers, which replace those of the service.
 *
 * @param raw Alternating names and values, as received.
 */
export function filterHeaders(
  raw: readonly string[],
  { route, client, record }: Pick<Signed, 'route' | 'client' | 'record'>,
): ResponseHeaders {
  const passing: string[] = [];
  let identityRefused: string | undefined;
  let identityUnavailable: string | undefined;
  let connection: string | undefined;
  let transferEncoding: string | undefined;
  let contentLength: string | undefined;
  let contentType: string | undefined;
  let present = 0;
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] as string;
    const value = raw[at + 1] as string;
    const known = lookUp(name);
    switch (known.disposition) {
      case 'content-length':
        contentLength = value;
        passing.push(name, value);
        break;
      case 'content-type':
        contentType = value;
        passing.push(name, value);
        break;
      case 'pass':
        passing.push(name, value);
        present |= known.default;
        break;
      case 'set-cookie':
        if (maySetCookie(value, route.forward.cookies, client.host)) passing.push(name, value);
        break;
      case 'connection':
        connection = connection === undefined ? value : `${connection},${value}`;
        break;
      case 'transfer-encoding':
        transferEncoding = transferEncoding === undefined ? value : `${transferEncoding},${value}`;
        break;
      case 'limits':
        if (record.limits === undefined) passing.push(name, value);
        break;
      case 'cors':
        if (record.cors === undefined) passing.push(name, value);
        break;
      case 'nonce':
        if (record.nonce === undefined && route.forward.dpop) passing.push(name, value);
        break;
      case 'identity-refused':
        identityRefused = value;
        break;
      case 'identity-unavailable':
        identityUnavailable = value;
    }
  }
  const left = withoutNamed(passing, connection);
  if (record.limits !== undefined) left.push(...record.limits);
  if (record.cors !== undefined) left.push(...record.cors);
  if (record.nonce !== undefined) left.push(...record.nonce);
  if (record.hasDefaults) addDefaults(left, left === passing ? present : defaultsIn(left));
  const lifetime = lifetimeOf(contentType, contentLength);
  return { passing: left, identityRefused, identityUnavailable, transferEncoding, contentLength, lifetime };
}

/**
 * Filters the head of an HTTP response for the client, and refuses one that must not reach it.
 *
 * @param raw Alternating names and values, as received.
 * @param target The origin that responded.
 * @throws AppError `identity_refused`, `identity_unavailable`, `upstream_invalid_response`.
 */
export function filterResponseHead(
  status: number,
  raw: readonly string[],
  signed: Signed,
  target: string,
): ResponseHeaders {
  const headers = filterHeaders(raw, signed);
  const { passing, transferEncoding } = headers;
  if (status === 401 || status === 503) {
    const refusal = refusedIdentity(status, headers, { upstream: signed.route.upstream.name, target });
    if (refusal !== undefined) throw refusal;
  }
  // The client decodes `chunked` only: with any other coding the bytes are not the body (RFC 9112 section 6.1).
  if (transferEncoding !== undefined && transferEncoding.toLowerCase() !== 'chunked') {
    const upstream = signed.route.upstream.name;
    throw new AppError('upstream_invalid_response', { detail: { upstream, target, reason: 'transfer-encoding' } });
  }
  if (status === 204) dropLength(passing);
  return headers;
}

/**
 * Removes `Content-Length` from a 101 or 204: they have no body, and a reader could wait for one (RFC 9110 section
 * 8.6).
 */
export function dropLength(headers: string[]): void {
  for (let at = headers.length - 2; at >= 0; at -= 2) {
    if (headers[at]?.toLowerCase() === 'content-length') headers.splice(at, 2);
  }
}

function withoutNamed(headers: string[], connection: string | undefined): string[] {
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return headers;
  const named = new Set(connection.split(',').map((token) => foldHeaderName(token.trim())));
  named.delete('keep-alive');
  named.delete('close');
  return withoutHeaders(headers, named);
}

/** The default headers among these, as bits. */
function defaultsIn(headers: readonly string[]): number {
  let present = 0;
  for (let at = 0; at < headers.length; at += 2) present |= lookUp(headers[at] as string).default;
  return present;
}

function addDefaults(headers: string[], present: number): void {
  for (let at = 0; at < defaultSecurityHeaders.length; at += 2) {
    if ((present & (1 << at)) !== 0) continue;
    headers.push(defaultSecurityHeaders[at] as string, defaultSecurityHeaders[at + 1] as string);
  }
}

/**
 * Detects that the service refused our signature, which is never the client's fault: a clock or a key of the deployment
 * is wrong. `identity_unavailable` means that the service cannot check it now, and the request may be valid. The
 * service has no keys of ours yet, or its replay store is down or too new.
 *
 * @returns Undefined if this is the service's own response.
 */
export function refusedIdentity(
  status: number,
  { identityRefused, identityUnavailable }: Pick<ResponseHeaders, 'identityRefused' | 'identityUnavailable'>,
  upstream: Readonly<{ upstream: string; target: string }>,
): AppError | undefined {
  const reason = status === 401 ? identityRefused : status === 503 ? identityUnavailable : undefined;
  if (reason === undefined) return undefined;
  const isUnavailable = status === 503 || reason === 'created_before_start';
  const code = isUnavailable ? 'identity_unavailable' : 'identity_refused';
  return new AppError(code, { detail: { ...upstream, reason: reason.slice(0, 64) } });
}

const endlessTypes = ['text/event-stream', 'application/x-ndjson', 'application/json-seq', 'multipart/x-mixed-replace'];
const shortBytes = 64 * 1024;

/** Classifies a response by its media type and otherwise by its length. Without a length it may be long. */
function lifetimeOf(contentType: string | undefined, contentLength: string | undefined): ResponseLifetime {
  if (contentType !== undefined && endlessTypes.includes(mediaType(contentType))) return 'endless';
  return contentLength !== undefined && Number(contentLength) <= shortBytes ? 'short' : 'long';
}

/** Without parameters; in any case (RFC 9110 section 8.3.1). */
function mediaType(value: string): string {
  const end = value.indexOf(';');
  return (end === -1 ? value : value.slice(0, end)).trim().toLowerCase();
}
