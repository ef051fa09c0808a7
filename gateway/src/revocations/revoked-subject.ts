import { hash, randomBytes } from 'node:crypto';

/** What an entry of the log revokes. */
export type RevokedSubject =
  | Readonly<{ kind: 'session'; sessionId: string }>
  | Readonly<{ kind: 'member'; userId: string; tenantId: string }>
  | Readonly<{ kind: 'user'; userId: string }>
  | Readonly<{ kind: 'tenant'; tenantId: string }>
  | Readonly<{ kind: 'key'; kid: string }>;

/** What of a token can be revoked. */
export type Subject = Readonly<{
  sessionId: string | undefined;
  userId: string;
  tenantId: string;
  issuedAtSec: number;
}>;

/** A digest's words of 32 bits. */
export const digestWords = 3;

/** Each kind has its place among a token's digests. */
export const placeOf = { session: 0, member: 1, user: 2, tenant: 3, key: 4 } as const;
const places = 5;

// Secret, or an issuer could look for identifiers that share a digest. With an identifier of 36 characters it fits one block of SHA-256.
const key = randomBytes(12).toString('base64url');

/**
 * Writes a keyed digest that stands for an identifier of any length: 96 bits of its SHA-256. With two million held, the
 * probability that a lookup of another identifier finds one of them is 2^-75.
 */
function writeDigest(identifier: string, into: Int32Array, at: number): void {
  // A Buffer would cost more than the digest.
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

/** Writes the digest of what is revoked to the beginning of `into`. @param name As {@link nameOf} gives it. */
export function digestRevoked(kind: RevokedSubject['kind'], name: string, into: Int32Array): void {
  writeDigest(prefixes[kind] + name, into, 0);
}

/** The identifier within its kind. A space is in no identifier of a token, so no two members share one. */
export function nameOf(subject: RevokedSubject): string {
  switch (subject.kind) {
    case 'session':
      return subject.sessionId;
    case 'member':
      return `${subject.tenantId} ${subject.userId}`;
    case 'user':
      return subject.userId;
    case 'tenant':
      return subject.tenantId;
    case 'key':
      return subject.kid;
  }
}

const prefixes = { session: 's ', member: 'm ', user: 'u ', tenant: 't ', key: 'k ' } as const;

/**
 * The digests of all that could revoke a token, each at its place. Made once for each token, since open connections are
 * looked through whenever entries come in.
 */
export function digestsOf(claims: Subject, kid: string): Int32Array {
  const known = made.get(claims);
  if (known?.kid === kid) return known.digests;
  const digests = new Int32Array(places * digestWords);
  const { sessionId, userId, tenantId } = claims;
  const write = (subject: RevokedSubject) =>
    writeDigest(prefixes[subject.kind] + nameOf(subject), digests, placeOf[subject.kind] * digestWords);
  if (sessionId !== undefined) write({ kind: 'session', sessionId });
  write({ kind: 'member', tenantId, userId });
  write({ kind: 'user', userId });
  write({ kind: 'tenant', tenantId });
  write({ kind: 'key', kid });
  made.set(claims, { kid, digests });
  return digests;
}

const made = new WeakMap<Subject, Readonly<{ kid: string; digests: Int32Array }>>();
