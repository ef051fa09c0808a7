import { hash, randomBytes } from 'node:crypto';

/** The kinds of subjects that a revocation can name. */
export const revokedKinds = ['session', 'member', 'user', 'client', 'tenant', 'key'] as const;
export type RevokedKind = (typeof revokedKinds)[number];

/** The claims in a token that revocations can refer to. */
export type Subject = Readonly<{
  sessionId: string | undefined;
  /** Undefined if the token belongs to an OAuth client. */
  userId: string | undefined;
  /** The OAuth client that calls, or that the user logged in with. */
  clientId: string | undefined;
  /** Undefined for an OAuth client without a tenant. */
  tenantId: string | undefined;
  issuedAtSec: number;
}>;

/** The number of 32-bit words in a digest. */
export const digestWords = 3;

/** Where each kind's digest starts among a token's digests. */
export const placeOf = { session: 0, member: 3, user: 6, tenant: 9, key: 12, client: 15 } as const;
const allWords = 6 * digestWords;

// Secret, because otherwise an issuer could search for ids with the same digest. Together with a UUID, it fits into
// one SHA-256 block.
const key = randomBytes(12).toString('base64url');

/**
 * Writes a keyed digest of a subject: 96 bits of a SHA-256. With two million entries, the probability that a lookup
 * finds another subject's entry is 2^-75.
 *
 * @param name The id within the kind. A member's id is `<tenant id> <user id>`, an OAuth client's `<tenant id> <client
 *   id>`.
 */
export function writeDigest(kind: RevokedKind, name: string, into: Int32Array, at: number): void {
  // Creating a Buffer would cost more than the digest. No two kinds start with the same letter.
  const bytes = hash('sha256', `${key}${kind[0]} ${name}`, 'binary');
  for (let word = 0; word < digestWords; word += 1) {
    const from = word * 4;
    into[at + word] =
      bytes.charCodeAt(from) |
      (bytes.charCodeAt(from + 1) << 8) |
      (bytes.charCodeAt(from + 2) << 16) |
      (bytes.charCodeAt(from + 3) << 24);
  }
}

/** A token's digests, and the state for which the last lookup found none of them revoked. */
export type TokenDigests = Readonly<{ kid: string; digests: Int32Array }> & {
  goodAt: Readonly<{ version: number; nowSec: number }> | undefined;
};

const digestCache = new WeakMap<Subject, TokenDigests>();

/**
 * Returns the digests of all subjects that could revoke a token, each at its {@link placeOf}. They are computed once
 * per token, because every new entry is checked against the tokens of open connections.
 */
export function digestsOf(claims: Subject, kid: string): TokenDigests {
  const known = digestCache.get(claims);
  if (known?.kid === kid) return known;
  const digests = new Int32Array(allWords);
  const write = (kind: RevokedKind, name: string) => writeDigest(kind, name, digests, placeOf[kind]);
  const { sessionId, userId, clientId, tenantId } = claims;
  if (sessionId !== undefined) write('session', sessionId);
  if (userId !== undefined) write('user', userId);
  if (tenantId !== undefined) {
    write('tenant', tenantId);
    if (userId !== undefined) write('member', `${tenantId} ${userId}`);
    if (clientId !== undefined) write('client', `${tenantId} ${clientId}`);
  }
  write('key', kid);
  const added: TokenDigests = { kid, digests, goodAt: undefined };
  digestCache.set(claims, added);
  return added;
}
