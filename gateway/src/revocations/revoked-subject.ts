import { hash, randomBytes } from 'node:crypto';

/** The subject that an entry of the log revokes. */
export type RevokedSubject =
  | Readonly<{ kind: 'session'; sessionId: string }>
  | Readonly<{ kind: 'member'; userId: string; tenantId: string }>
  | Readonly<{ kind: 'user'; userId: string }>
  | Readonly<{ kind: 'client'; clientId: string; tenantId: string }>
  | Readonly<{ kind: 'tenant'; tenantId: string }>
  | Readonly<{ kind: 'key'; kid: string }>;

/** The claims of a token that revocations refer to. */
export type Subject = Readonly<{
  sessionId: string | undefined;
  /** Undefined: the token belongs to a machine. */
  userId: string | undefined;
  /** The machine, or the client through which the user came. */
  clientId: string | undefined;
  /** Undefined: a machine without a tenant. */
  tenantId: string | undefined;
  issuedAtSec: number;
}>;

/** The number of 32-bit words in a digest. */
export const digestWords = 3;

/** The index of each kind among the digests of a token. */
export const placeOf = { session: 0, member: 1, user: 2, tenant: 3, key: 4, client: 5 } as const;
const places = 6;

// Secret, because an issuer could otherwise search for identifiers with the same digest. With a UUID it fits in one SHA-256 block.
const key = randomBytes(12).toString('base64url');

/**
 * Writes a keyed digest of an identifier: 96 bits of a SHA-256. With two million entries, the probability that a lookup
 * finds the entry of another identifier is 2^-75.
 */
function writeDigest(identifier: string, into: Int32Array, at: number): void {
  // Creating a Buffer would cost more than the digest.
  const bytes = hash('sha256', key + identifier, 'binary');
  for (let word = 0; word < digestWords; word += 1) {
    const from = word * 4;
    into[at + word] =
      bytes.charCodeAt(from) |
      (bytes.charCodeAt(from + 1) << 8) |
      (bytes.charCodeAt(from + 2) << 16) |
      (bytes.charCodeAt(from + 3) << 24);
  }
}

/**
 * Writes the digest of a revoked subject to the beginning of `into`.
 *
 * @param name The result of {@link nameOf}.
 */
export function digestRevoked(kind: RevokedSubject['kind'], name: string, into: Int32Array): void {
  writeDigest(prefixes[kind] + name, into, 0);
}

/** The name of a subject within its kind. Identifiers contain no space, so the names of members and clients are unique. */
export function nameOf(subject: RevokedSubject): string {
  switch (subject.kind) {
    case 'session':
      return subject.sessionId;
    case 'member':
      return `${subject.tenantId} ${subject.userId}`;
    case 'user':
      return subject.userId;
    case 'client':
      return `${subject.tenantId} ${subject.clientId}`;
    case 'tenant':
      return subject.tenantId;
    case 'key':
      return subject.kid;
  }
}

const prefixes = { session: 's ', member: 'm ', user: 'u ', tenant: 't ', key: 'k ', client: 'c ' } as const;

/**
 * Returns the digests of all subjects that could revoke a token, each at its {@link placeOf}. They are computed once per
 * token, because every new entry is checked against the tokens of open connections.
 */
export function digestsOf(claims: Subject, kid: string): TokenDigests {
  const known = digestCache.get(claims);
  if (known?.kid === kid) return known;
  const digests = new Int32Array(places * digestWords);
  const { sessionId, userId, clientId, tenantId } = claims;
  const write = (subject: RevokedSubject) =>
    writeDigest(prefixes[subject.kind] + nameOf(subject), digests, placeOf[subject.kind] * digestWords);
  if (sessionId !== undefined) write({ kind: 'session', sessionId });
  if (userId !== undefined) write({ kind: 'user', userId });
  if (tenantId !== undefined) {
    write({ kind: 'tenant', tenantId });
    if (userId !== undefined) write({ kind: 'member', tenantId, userId });
    if (clientId !== undefined) write({ kind: 'client', tenantId, clientId });
  }
  write({ kind: 'key', kid });
  const added: TokenDigests = { kid, digests, goodAt: undefined };
  digestCache.set(claims, added);
  return added;
}

/** The digests of a token, and where the last lookup found none of them revoked. */
export type TokenDigests = Readonly<{ kid: string; digests: Int32Array }> & {
  goodAt: Readonly<{ version: number; nowSec: number }> | undefined;
};

const digestCache = new WeakMap<Subject, TokenDigests>();
