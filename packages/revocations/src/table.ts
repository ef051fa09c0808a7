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

/** Where each kind's digest starts among a token's digests. Of a session there is a second one, with its tenant. */
export const placeOf = { session: 0, member: 3, user: 6, tenant: 9, key: 12, client: 15, tenantSession: 18 } as const;
const allWords = 7 * digestWords;

// Otherwise an issuer could search for ids with the same digest. Together with a UUID, it fits one SHA-256 block.
const key = randomBytes(12).toString('base64url');

/**
 * Writes a keyed digest of a subject: 96 bits of a SHA-256. With two million entries, the probability that a lookup
 * finds another subject's entry is 2^-75.
 *
 * @param name The id within the kind. A member's id is `<tenant id> <user id>`, an OAuth client's `<tenant id> <client
 *   id>`. A session's is `<session id>`, or `<tenant id> <session id>` to revoke it in that tenant only.
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
type TokenDigests = Readonly<{ kid: string; digests: Int32Array }> & {
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
    if (sessionId !== undefined) writeDigest('session', `${tenantId} ${sessionId}`, digests, placeOf.tenantSession);
  }
  write('key', kid);
  const added: TokenDigests = { kid, digests, goodAt: undefined };
  digestCache.set(claims, added);
  return added;
}

/** Times are in Unix seconds. */
export type TableEntry = Readonly<{ notBeforeSec: number; expiresAtSec: number }>;

const headBits = 20;
const blockBits = 14;
const blockMask = (1 << blockBits) - 1;

// The words of an entry after its digest. A link is another entry's number, and 0 ends a list.
const notBefore = digestWords;
const expiresAt = digestWords + 1;
const generation = digestWords + 2;
const nextOfHead = digestWords + 3;
const nextOfDue = digestWords + 4;
const entryWords = digestWords + 5;

/** The largest time that an entry can have, in the year 2106. Times are unsigned 32-bit words. */
export const latestSec = 0xffff_ffff;

// Up to here, there is one list per second. Later entries share lists that cover up to 1/512 of the time left.
const exactSec = 1024;

/**
 * A hash table of revoked subjects by digest, 32 bytes each. No operation takes time proportional to the table's size.
 * Blocks of entries are never copied, and the table has its full size from the start, because untouched memory pages
 * cost nothing. Entries that expire together share a list.
 */
export class RevocationTable {
  #heads: Int32Array | undefined;
  readonly #blocks: Int32Array[] = [];
  /** The first entry that expires by each second. */
  readonly #due = new Map<number, number>();
  #used = 0;
  #free = 0;
  /** The number of subjects in the table. */
  size = 0;
  #staged = 1;

  /** @returns When tokens of this subject become valid again, in Unix seconds. Undefined if it is not revoked. */
  find(digests: Int32Array, at: number): number | undefined {
    const entry = this.#entryOf(digests, at);
    if (entry === 0 || this.#get(entry, generation) >= this.#staged) return undefined;
    return this.#get(entry, notBefore) >>> 0;
  }

  /**
   * Adds an entry. If the subject is known, the later times apply. `find` returns a staged entry only after
   * {@link commit}.
   */
  put(how: 'add' | 'stage', digests: Int32Array, at: number, times: TableEntry, nowSec: number): void {
    const staged = how === 'add' ? 0 : this.#staged;
    const known = this.#entryOf(digests, at);
    if (known !== 0) {
      this.#set(known, notBefore, Math.max(this.#get(known, notBefore) >>> 0, times.notBeforeSec));
      this.#set(known, expiresAt, Math.max(this.#get(known, expiresAt) >>> 0, times.expiresAtSec));
      this.#set(known, generation, Math.min(this.#get(known, generation), staged));
      return;
    }
    const entry = this.#allocate();
    for (let word = 0; word < digestWords; word += 1) this.#set(entry, word, digests[at + word] ?? 0);
    this.#set(entry, notBefore, times.notBeforeSec);
    this.#set(entry, expiresAt, times.expiresAtSec);
    this.#set(entry, generation, staged);
    const head = this.#headOf(entry);
    this.#heads ??= new Int32Array(1 << headBits);
    this.#set(entry, nextOfHead, this.#heads[head] ?? 0);
    this.#heads[head] = entry;
    this.#link(entry, times.expiresAtSec, nowSec);
    this.size += 1;
  }

  /** Makes all staged entries visible to `find`. */
  commit(): void {
    this.#staged += 1;
  }

  /** Removes up to `limit` expired entries. @returns Whether all were removed. */
  expire(nowSec: number, limit: number): boolean {
    let left = limit;
    for (const second of this.#due.keys()) {
      if (second > nowSec) continue;
      for (; left > 0 && this.#due.has(second); left -= 1) {
        const entry = this.#popFrom(second);
        const until = this.#get(entry, expiresAt) >>> 0;
        // The subject was revoked again since, so its entry expires later.
        if (until > nowSec) this.#link(entry, until, nowSec);
        else this.#remove(entry);
      }
      if (left === 0) return false;
    }
    return true;
  }

  /** Removes the `count` entries that expire first. @returns The latest times among them. */
  dropEarliest(count: number): TableEntry {
    let notBeforeSec = 0;
    let expiresAtSec = 0;
    let left = count;
    for (const second of [...this.#due.keys()].sort((a, b) => a - b)) {
      for (; left > 0 && this.#due.has(second); left -= 1) {
        const entry = this.#popFrom(second);
        notBeforeSec = Math.max(notBeforeSec, this.#get(entry, notBefore) >>> 0);
        expiresAtSec = Math.max(expiresAtSec, this.#get(entry, expiresAt) >>> 0);
        this.#remove(entry);
      }
    }
    return { notBeforeSec, expiresAtSec };
  }

  #entryOf(digests: Int32Array, at: number): number {
    let entry = this.#heads?.[(digests[at] ?? 0) >>> (32 - headBits)] ?? 0;
    while (entry !== 0 && !this.#matches(entry, digests, at)) entry = this.#get(entry, nextOfHead);
    return entry;
  }

  #matches(entry: number, digests: Int32Array, at: number): boolean {
    for (let word = 0; word < digestWords; word += 1) {
      if (this.#get(entry, word) !== digests[at + word]) return false;
    }
    return true;
  }

  #headOf(entry: number): number {
    return this.#get(entry, 0) >>> (32 - headBits);
  }

  #link(entry: number, untilSec: number, nowSec: number): void {
    const second = expiryListFor(untilSec, nowSec);
    this.#set(entry, nextOfDue, this.#due.get(second) ?? 0);
    this.#due.set(second, entry);
  }

  #popFrom(second: number): number {
    const entry = this.#due.get(second) ?? 0;
    const next = this.#get(entry, nextOfDue);
    if (next === 0) this.#due.delete(second);
    else this.#due.set(second, next);
    return entry;
  }

  /** Removes an entry that is no longer in an expiry list. */
  #remove(entry: number): void {
    const heads = this.#heads as Int32Array;
    const head = this.#headOf(entry);
    const next = this.#get(entry, nextOfHead);
    let before = heads[head] ?? 0;
    if (before === entry) heads[head] = next;
    else {
      while (this.#get(before, nextOfHead) !== entry) before = this.#get(before, nextOfHead);
      this.#set(before, nextOfHead, next);
    }
    this.#set(entry, nextOfHead, this.#free);
    this.#free = entry;
    this.size -= 1;
  }

  #allocate(): number {
    if (this.#free !== 0) {
      const entry = this.#free;
      this.#free = this.#get(entry, nextOfHead);
      return entry;
    }
    this.#used += 1;
    // Entry 0 is never used, because 0 ends a list.
    if (this.#blocks.length <= this.#used >>> blockBits) this.#blocks.push(new Int32Array(entryWords << blockBits));
    return this.#used;
  }

  #get(entry: number, word: number): number {
    return this.#blocks[entry >>> blockBits]?.[(entry & blockMask) * entryWords + word] ?? 0;
  }

  #set(entry: number, word: number, value: number): void {
    const block = this.#blocks[entry >>> blockBits] as Int32Array;
    block[(entry & blockMask) * entryWords + word] = value;
  }
}

/** Returns the second whose list contains the entry: its own second, or slightly later if that is far in the future. */
function expiryListFor(untilSec: number, nowSec: number): number {
  const aheadSec = untilSec - nowSec;
  if (aheadSec < exactSec) return untilSec;
  const step = 2 ** (Math.floor(Math.log2(aheadSec)) - 9);
  return Math.ceil(untilSec / step) * step;
}
