import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/**
 * A new secret of 256 random bits. It is shown once; only its hash is stored.
 *
 * @param kind Makes it recognizable to secret scanners. All characters survive the form encoding of RFC 6749 section
 *   2.3.1 unchanged.
 */
export function newSecret(kind: 'secret' | 'delegation'): Readonly<{ secret: string; hash: Buffer }> {
  const secret = `countersign_${kind}_${randomBytes(32).toString('base64url')}`;
  return { secret, hash: hashSecret(secret) };
}

/** SHA-256 without salt or cost factor: 256 random bits cannot be guessed from their hash. */
export const hashSecret = (secret: string): Buffer => createHash('sha256').update(secret).digest();

/** Compares with every secret in constant time. @returns The matching secret. */
export function matchSecret<Stored extends Readonly<{ hash: Buffer }>>(
  given: string,
  stored: readonly Stored[],
): Stored | undefined {
  const hash = hashSecret(given);
  let match: Stored | undefined;
  for (const one of stored) if (timingSafeEqual(hash, one.hash)) match = one;
  return match;
}
