import {
  digestsOf,
  digestWords,
  latestSec,
  placeOf,
  RevocationTable,
  type RevokedKind,
  type Subject,
  type TableEntry,
  writeDigest,
} from './table.ts';

/** Revocations with the same kind and times. They last until every token that they could revoke has expired. */
export type RevocationGroup = Readonly<{
  kind: RevokedKind;
  /** A member's is `<tenant> <user>`, an OAuth client's `<tenant> <client>`, a session's `[<tenant> ]<session>`. */
  names: readonly string[];
  notBeforeMs: number;
  expiresAtMs: number;
}>;

/** Why a token is refused. `revocations_unavailable`: it may have been revoked, because the feed is behind. */
export type RevocationRefusal = Readonly<{ code: 'token_revoked' | 'revocations_unavailable'; reason?: string }>;

export type RevocationsOptions = Readonly<{
  /** The tolerated clock difference. An entry is kept that much longer than it says. */
  toleranceMs: number;
  /** How long ago {@link Revocations.confirmCurrent} may have been called before `onStale` applies. */
  maxStalenessMs: number;
  /** `allow`: tokens without a known revocation pass. `deny`: all tokens get 503 until the feed recovers. */
  onStale: 'allow' | 'deny';
  /** The maximum number of entries in memory, 36 bytes each. Default: 2 million. */
  maxHeld?: number;
  monotonicMs?: () => number;
}>;

// The share of entries to drop at once when the memory is full. Dropping it takes about 10 ms.
const dropShare = 1 / 64;

const sweepEveryMs = 1_000;
// Removing this many takes about 2 ms. Later turns of the event loop remove the rest.
const maxSweptPerTurn = 10_000;

/**
 * The known revocations of one issuer, in memory.
 *
 * Beyond `maxHeld` entries, one cutoff replaces those that expire first. It refuses every token older than the latest
 * of them, until the last of them would have expired. The cutoff refuses all tokens that the dropped entries refused,
 * because an issuer issues no token for an ended session. Other callers get a valid token at their next refresh.
 */
export class Revocations {
  readonly #options: RevocationsOptions;
  readonly #maxHeld: number;
  readonly #monotonicMs: () => number;
  readonly #table = new RevocationTable();
  readonly #digest = new Int32Array(digestWords);
  // When the last entry of each kind expires. Usually there are only sessions, so the other kinds need no lookup.
  readonly #lastExpirySec = { session: 0, member: 0, user: 0, tenant: 0, key: 0, client: 0 };
  readonly #listeners = new Set<() => void>();
  #cutoff: TableEntry = { notBeforeSec: 0, expiresAtSec: 0 };
  #sweptAtMs = Number.NEGATIVE_INFINITY;
  /** On the monotonic clock, because a jump of the system clock must not change the age. */
  #currentAtMs: number | undefined;
  #isReady = false;
  #coveredFromSec = 0;
  /** A different number after each change. Unique in the process, because a token may be looked up in several sets. */
  #version = nextVersion();

  constructor(options: RevocationsOptions) {
    this.#options = options;
    this.#maxHeld = options.maxHeld ?? 2_000_000;
    this.#monotonicMs = options.monotonicMs ?? (() => performance.now());
  }

  /** Whether a complete snapshot has been read. */
  get ready(): boolean {
    return this.#isReady;
  }

  /** Changes with every change of the entries. Results that depend on them are void once it differs. */
  get version(): number {
    return this.#version;
  }

  get size(): number {
    return this.#table.size;
  }

  /** Returns why a token is refused. `revocations_unavailable`: no snapshot was read, or it is stale under `deny`. */
  refusalOf(claims: Subject, kid: string, nowMs: number): RevocationRefusal | undefined {
    if (!this.#isReady) return { code: 'revocations_unavailable', reason: 'no snapshot yet' };
    const nowSec = this.#expirySecAt(nowMs);
    if (this.#isRevoked(claims, kid, nowSec)) return { code: 'token_revoked' };
    if (isBefore(claims, this.#refusedBeforeSec(nowSec))) {
      return { code: 'token_revoked', reason: 'memory cannot hold all revocations, so older tokens are refused' };
    }
    const { onStale, maxStalenessMs } = this.#options;
    if (onStale !== 'deny') return undefined;
    const isStale = isBefore(claims, this.#coveredFromSec) || (this.stalenessMs() ?? 0) > maxStalenessMs;
    return isStale ? { code: 'revocations_unavailable', reason: 'stale' } : undefined;
  }

  /** Adds entries. Known entries stay in effect. */
  apply(entries: readonly RevocationGroup[], nowMs: number): void {
    if (entries.length === 0) return;
    this.#addAll(entries, nowMs, 'add');
    this.#notify(nowMs);
  }

  /** Adds part of a snapshot. It takes effect with the next {@link applySnapshot}. */
  stage(entries: readonly RevocationGroup[], nowMs: number): void {
    this.#addAll(entries, nowMs, 'stage');
    this.#sweep(nowMs);
  }

  /**
   * Adds the last entries of a snapshot, applies the snapshot as a whole, and becomes ready. Known entries that the
   * snapshot lacks stay in effect until they expire, because a log restored from a backup must not make a revoked
   * token valid again.
   */
  applySnapshot(entries: readonly RevocationGroup[], nowMs: number): void {
    this.#addAll(entries, nowMs, 'stage');
    this.#table.commit();
    this.#isReady = true;
    this.#notify(nowMs);
  }

  /** Records that the feed had no more entries at this moment. */
  confirmCurrent(nowMs: number): void {
    this.#currentAtMs = this.#monotonicMs();
    this.#sweep(nowMs);
  }

  /** Whether the set has this subject, with the same or a later time. */
  knows(kind: RevokedKind, name: string, notBeforeMs: number): boolean {
    writeDigest(kind, name, this.#digest, 0);
    const known = this.#table.find(this.#digest, 0);
    return known !== undefined && known >= toSec(notBeforeMs);
  }

  /** Tokens issued before this moment may have been revoked without our knowledge, and count as stale. */
  coverFrom(sinceMs: number): void {
    this.#coveredFromSec = toSec(sinceMs);
  }

  /** Calls the listener after entries were added, to close open connections. Returns a function that removes it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Returns the milliseconds since the last {@link confirmCurrent}. Undefined before the first. */
  stalenessMs(): number | undefined {
    return this.#currentAtMs === undefined ? undefined : Math.round(this.#monotonicMs() - this.#currentAtMs);
  }

  /** Returns the time before which issued tokens are refused, while memory cannot hold all revocations. */
  refusedBeforeMs(nowMs: number): number | undefined {
    const sec = this.#refusedBeforeSec(this.#expirySecAt(nowMs));
    return sec === undefined ? undefined : sec * 1000;
  }

  /** Entries that expire by this second can be removed: the tokens they revoke have expired, tolerance included. */
  #expirySecAt(nowMs: number): number {
    return Math.floor((nowMs - this.#options.toleranceMs) / 1000);
  }

  #refusedBeforeSec(nowSec: number): number | undefined {
    return this.#cutoff.expiresAtSec > nowSec ? this.#cutoff.notBeforeSec : undefined;
  }

  #isRevoked(claims: Subject, kid: string, nowSec: number): boolean {
    if (this.#table.size === 0) return false;
    const token = digestsOf(claims, kid);
    const { digests, goodAt } = token;
    // If nothing changed, entries can only have expired.
    if (goodAt !== undefined && goodAt.version === this.#version && goodAt.nowSec <= nowSec) return false;
    const isRevoked = this.#hasEntry(claims, digests, nowSec);
    if (!isRevoked) token.goodAt = { version: this.#version, nowSec };
    return isRevoked;
  }

  #hasEntry(claims: Subject, digests: Int32Array, nowSec: number): boolean {
    const goodFrom = (kind: RevokedKind, place: number = placeOf[kind]): number | undefined =>
      this.#lastExpirySec[kind] > nowSec ? this.#table.find(digests, place) : undefined;
    // A revoked session never becomes valid again. The other kinds refuse only tokens issued before `not_before`.
    if (claims.sessionId !== undefined) {
      const inTenant = claims.tenantId === undefined ? undefined : goodFrom('session', placeOf.tenantSession);
      if (inTenant !== undefined || goodFrom('session') !== undefined) return true;
    }
    return (
      isBefore(claims, goodFrom('member')) ||
      isBefore(claims, goodFrom('client')) ||
      isBefore(claims, goodFrom('user')) ||
      isBefore(claims, goodFrom('tenant')) ||
      isBefore(claims, goodFrom('key'))
    );
  }

  #addAll(entries: readonly RevocationGroup[], nowMs: number, how: 'add' | 'stage'): void {
    this.#version = nextVersion();
    const nowSec = this.#expirySecAt(nowMs);
    for (const { kind, names, notBeforeMs, expiresAtMs } of entries) {
      const times = { notBeforeSec: toSec(notBeforeMs), expiresAtSec: toSec(expiresAtMs) };
      for (const name of names) {
        const { notBeforeSec, expiresAtSec } = this.#cutoff;
        if (times.notBeforeSec <= notBeforeSec && times.expiresAtSec <= expiresAtSec) break;
        if (this.#table.size >= this.#maxHeld) this.#makeRoom(nowSec);
        writeDigest(kind, name, this.#digest, 0);
        this.#table.put(how, this.#digest, 0, times, nowSec);
        this.#lastExpirySec[kind] = Math.max(this.#lastExpirySec[kind], times.expiresAtSec);
      }
    }
  }

  #makeRoom(nowSec: number): void {
    const dropped = this.#table.dropEarliest(Math.ceil(this.#maxHeld * dropShare));
    if (dropped.expiresAtSec <= nowSec) return;
    const before = this.#cutoff.expiresAtSec > nowSec ? this.#cutoff : dropped;
    this.#cutoff = {
      notBeforeSec: Math.max(before.notBeforeSec, dropped.notBeforeSec),
      expiresAtSec: Math.max(before.expiresAtSec, dropped.expiresAtSec),
    };
  }

  #notify(nowMs: number): void {
    this.#sweep(nowMs);
    for (const listener of this.#listeners) listener();
  }

  #sweep(nowMs: number): void {
    if (Math.abs(nowMs - this.#sweptAtMs) < sweepEveryMs) return;
    this.#sweptAtMs = nowMs;
    this.#forgetExpired(this.#expirySecAt(nowMs));
  }

  #forgetExpired(nowSec: number): void {
    if (!this.#table.expire(nowSec, maxSweptPerTurn)) setImmediate(() => this.#forgetExpired(nowSec));
  }
}

let versions = 0;
const nextVersion = (): number => {
  versions += 1;
  return versions;
};

const isBefore = ({ issuedAtSec }: Subject, goodFromSec: number | undefined): boolean =>
  goodFromSec !== undefined && issuedAtSec < goodFromSec;

/** Rounds up to whole seconds, because `iat` has whole seconds, and an entry may expire late but never early. */
const toSec = (ms: number): number => Math.min(Math.max(Math.ceil(ms / 1000), 0), latestSec);
