import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { readBody as readWithin, trimOws } from '@countersign/jwks';
import { type Delivery, maxDeliveryBytes } from './event-body.ts';
import { EventTokenError, type EventTokenErrorCode } from './signed-token.ts';

const maxBodyBytes = 64 * 1024;
const bodyTimeoutMs = 10_000;

/** The HTTP response to a logout token, or to a pushed Security Event Token (RFC 8935 sections 2.2 to 2.4). */
export type PushAnswer = Readonly<{ status: number; headers: Readonly<Record<string, string>>; body: string }>;

/** The token was received, now or before. */
export const pushAccepted: PushAnswer = { status: 202, headers: { 'cache-control': 'no-store' }, body: '' };

/** The response to a logout token, also to a repeated one (OpenID Connect Back-Channel Logout 1.0 section 2.8). */
export const logoutAccepted: PushAnswer = { status: 200, headers: { 'cache-control': 'no-store' }, body: '' };

/** The same response for every reason, so that it reveals nothing about sessions and users. */
export const logoutRefused: PushAnswer = {
  status: 400,
  headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
  body: JSON.stringify({ error: 'invalid_request', error_description: 'The logout token is invalid.' }),
};

/** What the transmitter learns: the code of RFC 8935, and what to do. The reason stays here. */
const descriptions: Readonly<Record<EventTokenErrorCode, string>> = {
  invalid_request: 'The request is not a valid Security Event Token.',
  invalid_key: 'The token is signed with an unknown key, or its signature is invalid.',
  invalid_issuer: 'The token is from an issuer that is not expected here.',
  invalid_audience: 'The token is for another audience.',
  authentication_failed: 'The Authorization header is missing or wrong.',
};

/** 400 with `err`, and 401 for `authentication_failed`. */
export function pushRefused({ code }: Pick<EventTokenError, 'code'>): PushAnswer {
  const isUnauthenticated = code === 'authentication_failed';
  return {
    status: isUnauthenticated ? 401 : 400,
    headers: {
      'content-type': 'application/json',
      'content-language': 'en',
      'cache-control': 'no-store',
      ...(isUnauthenticated && { 'www-authenticate': 'Bearer' }),
    },
    body: JSON.stringify({ err: code, description: descriptions[code] }),
  };
}

/** Whether an `Authorization` header has one of the secrets, compared in constant time. */
export function isBearer(authorization: string | undefined, secrets: readonly Uint8Array[]): boolean {
  const given = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
  return given !== undefined && isOneOf(Buffer.from(given), secrets);
}

/** Whether these bytes are among the accepted ones, compared in constant time. */
export function isOneOf(given: Uint8Array, accepted: readonly Uint8Array[]): boolean {
  // Digests have one length, so that the comparison takes the same time for every secret.
  const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest();
  const ours = digest(given);
  // Compares all, so that the time does not say which one is right.
  return accepted.map((one) => timingSafeEqual(ours, digest(one))).includes(true);
}

/**
 * Reads the logout token from a request (OpenID Connect Back-Channel Logout 1.0 section 2.5).
 *
 * @throws EventTokenError if the body is not a form with one `logout_token`, or exceeds 64 KiB. Error if the client
 *   disconnects, or takes longer than 10 s; its connection is then closed.
 */
export async function readLogoutToken(request: IncomingMessage): Promise<string> {
  const body = await readBody(request, 'application/x-www-form-urlencoded');
  const [token, ...more] = new URLSearchParams(body).getAll('logout_token');
  if (token === undefined || more.length > 0) throw invalid('not one logout_token');
  return token;
}

/**
 * Reads the Security Event Token from a request (RFC 8935 section 2.1).
 *
 * @throws Like {@link readLogoutToken}.
 */
export async function readSecurityEventToken(request: IncomingMessage): Promise<string> {
  // Some clients end the body with a line break.
  return (await readBody(request, 'application/secevent+jwt')).replace(/\r?\n$/, '');
}

async function readBody(request: IncomingMessage, expectedType: string): Promise<string> {
  const { 'content-type': types = [], 'content-encoding': encoding } = request.headersDistinct;
  const type = trimOws(types[0]?.split(';')[0] ?? '').toLowerCase();
  if (types.length !== 1 || type !== expectedType) throw invalid('another content type');
  if (encoding !== undefined) throw invalid('an encoded body');
  const body = await readInTime(request, maxBodyBytes);
  if (body === undefined) throw invalid('too large');
  return body.toString('latin1');
}

/** @returns Undefined if the body is larger. */
async function readInTime(request: IncomingMessage, maxBytes: number): Promise<Buffer | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) return undefined;
  const late = setTimeout(() => request.destroy(), bodyTimeoutMs);
  try {
    return await readWithin({ body: request.iterator({ destroyOnReturn: false }) }, maxBytes);
  } finally {
    clearTimeout(late);
  }
}

const maxReading = 64;

/**
 * Reads a webhook or a revoke call, of any content type. Its sender is not authenticated yet, so at most 64 bodies are
 * read at once. Another one closes the oldest of these requests, which is slow: a provider sends its body at once. The
 * limit is above what a provider sends at the same moment, because some do not send again after a closed connection.
 *
 * @param reading The requests of this source whose bodies are being read.
 * @returns Undefined if the body exceeds 256 KiB.
 * @throws Like {@link readLogoutToken}.
 */
export async function readDelivery(
  request: IncomingMessage,
  reading: Set<IncomingMessage>,
): Promise<Delivery | undefined> {
  if (request.headers['content-encoding'] !== undefined) throw invalid('an encoded body');
  reading.add(request);
  const [oldest] = reading.size > maxReading ? reading : [];
  if (oldest !== undefined) reading.delete(oldest) && oldest.destroy();
  try {
    const body = await readInTime(request, maxDeliveryBytes);
    return body && { header: (name) => singleHeader(request, name), body };
  } finally {
    reading.delete(request);
  }
}

/** @returns Undefined without the header, and if it is repeated. */
export function singleHeader({ headersDistinct }: IncomingMessage, name: string): string | undefined {
  const [value, ...more] = headersDistinct[name] ?? [];
  return more.length === 0 ? value : undefined;
}

const invalid = (message: string) => new EventTokenError('invalid_request', message);
