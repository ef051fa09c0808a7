import { createHash, timingSafeEqual } from 'node:crypto';
import type { SignalError, SignalErrorCode } from './signal-error.ts';

/** The HTTP response to a pushed Security Event Token (RFC 8935 sections 2.2 to 2.4). */
export type PushAnswer = Readonly<{ status: number; headers: Readonly<Record<string, string>>; body: string }>;

/** The token was received, now or before. */
export const pushAccepted: PushAnswer = { status: 202, headers: { 'cache-control': 'no-store' }, body: '' };

/** What the transmitter learns: the code of RFC 8935, and what to do. The reason stays here. */
const descriptions: Readonly<Record<SignalErrorCode, string>> = {
  invalid_request: 'The request is not a valid Security Event Token.',
  invalid_key: 'The token is signed with an unknown key, or its signature is invalid.',
  invalid_issuer: 'The token is from an issuer that is not expected here.',
  invalid_audience: 'The token is for another audience.',
  authentication_failed: 'The Authorization header is missing or wrong.',
};

/** 400 with `err`, and 401 for `authentication_failed`. */
export function pushRefused({ code }: Pick<SignalError, 'code'>): PushAnswer {
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

/**
 * Whether an `Authorization` header has one of the secrets, compared in constant time.
 *
 * @param secrets The current one, and the previous one while it is replaced.
 */
export function isBearer(authorization: string | undefined, secrets: readonly Uint8Array[]): boolean {
  const given = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
  if (given === undefined) return false;
  // Digests have one length, so that the comparison takes the same time for every secret.
  const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest();
  const ours = digest(Buffer.from(given));
  // Compares all, so that the time does not say which one is right.
  return secrets.map((secret) => timingSafeEqual(ours, digest(secret))).includes(true);
}
