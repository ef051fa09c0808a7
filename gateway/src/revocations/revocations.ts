import { toleranceMs } from '../config/config.ts';
import { AppError } from '../errors.ts';
import {
  digestRevoked,
  digestsOf,
  digestWords,
  nameOf,
  placeOf,
  type RevokedSubject,
  type Subject,
} from './revoked-subject.ts';
import { latestSec, RevocationTable, type TableEntry } from './table.ts';

/** One entry of the issuer's log. It stays in force until every token it could revoke has expired. */
export type Revocation = Times & RevokedSubject;

/** Revocations with the same kind and times. The name of a member is `<tenant id> <user id>`, that of a client `<tenant id> <client id>`. */
export type RevocationGroup = Times & Readonly<{ kind: RevokedSubject['kind']; names: readonly string[] }>;

type Times = Readonly<{ notBeforeMs: number; expiresAtMs: number }>;
type Entries = readonly (Revocation | RevocationGroup)[];

/** The known revocations of one issuer, in memory. */
export type Revocations = Readonly<{
  /** @throws AppError `token_revoked`; `revocations_unavailable` before the first snapshot, and when stale under `deny`. */
  assertNotRevoked(claims: Subject, kid: string, nowMs: number): void;
  /** Adds entries. Known entries stay in force. */
  apply(entries: Entries, nowMs: number): void;
  /** Adds a part of a snapshot. It comes into force at the next {@link applySnapshot}. */
  stage(entries: Entries, nowMs: number): void;
  /**
   * Adds the last entries of a snapshot, applies the snapshot as a whole, and becomes ready. Known entries that are missing
   * in it stay in force until they expire: a log that was restored from a backup must not make a revoked token valid again.
   */
  applySnapshot(entries: Entries, nowMs: number): void;
  /** Records that the feed had nothing more at this moment. */
  confirmCurrent(nowMs: number): void;
  /** Calls the listener after entries were added, to close open connections. Returns a function that removes it. */
  onChange(listener: () => void): () => void;
  /** Whether a snapshot was read. */
  readonly ready: boolean;
  /** Milliseconds since the last {@link confirmCurrent}. Undefined before the first. */
  stalenessMs(): number | undefined;
  readonly size: number;
  /**
   * Tokens issued before this moment are all refused, because there are more revocations than fit in memory. Undefined:
   * there are not.
   */
  refusedBeforeMs(nowMs: number): number | undefined;
}>;

/** Largest number of entries in memory per issuer, 36 bytes each. */
const defaultMaxHeld = 2_000_000;
// The share of entries dropped at once when the memory is full. Dropping it takes about 10 ms.
const dropShare = 1 / 64;

const sweepEveryMs = 1_000;
// Removing this many takes about 2 ms. The rest follows in later turns of the event loop.
const maxSweptPerTurn = 10_000;

/**
 * Creates the revocations of one issuer.
 *
 * Beyond `maxHeld` entries, those that expire first are replaced with one cutoff: every token older than the latest of them
 * is refused until the last of them would have expired. The cutoff refuses all tokens that the dropped entries refused,
 * because an issuer issues no token for an ended session. Other clients get a valid token with their next refresh.
 *
 * @param options.maxStalenessMs The age of the last {@link Revocations.confirmCurrent} after which `onStale` applies.
 * @param options.onStale `allow`: tokens without a known revocation pass. `deny`: all tokens get 503 until the feed recovers.
 */
export function createRevocations(
  options: Readonly<{
    maxStalenessMs: number;
    onStale: 'allow' | 'deny';
    maxHeld?: number;
    monotonicMs?: () => number;
  }>,
): Revocations {
  const { maxHeld = defaultMaxHeld, monotonicMs = () => performance.now() } = options;
  const table = new RevocationTable();
  const digest = new Int32Array(digestWords);
  // When the last entry of each kind expires. Usually there are only sessions, and the other kinds need no lookup.
  const lastExpirySec = { session: 0, member: 0, user: 0, tenant: 0, key: 0, client: 0 };
  let cutoff: TableEntry = { notBeforeSec: 0, expiresAtSec: 0 };
  let sweptAtMs = Number.NEGATIVE_INFINITY;
  /** Of the monotonic clock: after a corrected jump of the system's clock, the age would be wrong by the jump. */
  let currentAtMs: number | undefined;
  let ready = false;
  const listeners = new Set<() => void>();

  /** Another one after each change. Unique in the process, because a token may be looked up in several objects. */
  let version = nextVersion();

  function addAll(entries: Entries, nowMs: number, method: 'add' | 'stage'): void {
    version = nextVersion();
    const nowSec = expirySecAt(nowMs);
    for (const entry of entries) {
      const times = { notBeforeSec: toSec(entry.notBeforeMs), expiresAtSec: toSec(entry.expiresAtMs) };
      // A group has no object per name: a million objects would take 100 MB.
      if (!('names' in entry)) addOne(entry.kind, nameOf(entry), times, nowSec, method);
      else for (const name of entry.names) addOne(entry.kind, name, times, nowSec, method);
    }
  }

  function addOne(
    kind: RevokedSubject['kind'],
    name: string,
    times: TableEntry,
    nowSec: number,
    method: 'add' | 'stage',
  ): void {
    if (times.notBeforeSec <= cutoff.notBeforeSec && times.expiresAtSec <= cutoff.expiresAtSec) return;
    if (table.size >= maxHeld) makeRoom(nowSec);
    digestRevoked(kind, name, digest);
    table[method](digest, 0, times, nowSec);
    lastExpirySec[kind] = Math.max(lastExpirySec[kind], times.expiresAtSec);
  }

  function makeRoom(nowSec: number): void {
    const dropped = table.dropEarliest(Math.ceil(maxHeld * dropShare));
    if (dropped.expiresAtSec <= nowSec) return;
    const before = cutoff.expiresAtSec > nowSec ? cutoff : dropped;
    cutoff = {
      notBeforeSec: Math.max(before.notBeforeSec, dropped.notBeforeSec),
      expiresAtSec: Math.max(before.expiresAtSec, dropped.expiresAtSec),
    };
  }

  function sweep(nowMs: number): void {
    if (Math.abs(nowMs - sweptAtMs) < sweepEveryMs) return;
    sweptAtMs = nowMs;
    forgetExpired(expirySecAt(nowMs));
  }

  function forgetExpired(nowSec: number): void {
    const isDone = table.expire(nowSec, maxSweptPerTurn);
    if (!isDone) setImmediate(forgetExpired, nowSec);
  }

  function notify(nowMs: number): void {
    sweep(nowMs);
    for (const listener of listeners) listener();
  }

  function refusedBeforeSec(nowSec: number): number | undefined {
    return cutoff.expiresAtSec > nowSec ? cutoff.notBeforeSec : undefined;
  }

  const stalenessMs = () => (currentAtMs === undefined ? undefined : Math.round(monotonicMs() - currentAtMs));

  function isRevoked(claims: Subject, kid: string, nowSec: number): boolean {
    if (table.size === 0) return false;
    const token = digestsOf(claims, kid);
    const { digests, goodAt } = token;
    // Without a change, entries only expire.
    if (goodAt !== undefined && goodAt.version === version && goodAt.nowSec <= nowSec) return false;
    const goodFrom = (kind: Revocation['kind']): number | undefined =>
      lastExpirySec[kind] > nowSec ? table.find(digests, placeOf[kind] * digestWords) : undefined;
    // A revoked session never becomes valid again. The other kinds refuse only tokens issued before `not_before`.
    if (claims.sessionId !== undefined && goodFrom('session') !== undefined) return true;
    const isRefused =
      isBefore(claims, goodFrom('member')) ||
      isBefore(claims, goodFrom('client')) ||
      isBefore(claims, goodFrom('user')) ||
      isBefore(claims, goodFrom('tenant')) ||
      isBefore(claims, goodFrom('key'));
    if (!isRefused) token.goodAt = { version, nowSec };
    return isRefused;
  }

  return {
    assertNotRevoked(claims, kid, nowMs) {
      if (!ready) throw new AppError('revocations_unavailable', { detail: { reason: 'no snapshot yet' } });
      const nowSec = expirySecAt(nowMs);
      if (isRevoked(claims, kid, nowSec)) throw new AppError('token_revoked');
      if (isBefore(claims, refusedBeforeSec(nowSec))) {
        throw new AppError('token_revoked', { detail: { reason: 'too many revocations: older tokens are refused' } });
      }
      if (options.onStale === 'deny' && (stalenessMs() ?? 0) > options.maxStalenessMs) {
        throw new AppError('revocations_unavailable', { detail: { reason: 'stale' } });
      }
    },
    apply(more, nowMs) {
      if (more.length === 0) return;
      addAll(more, nowMs, 'add');
      notify(nowMs);
    },
    stage(some, nowMs) {
      addAll(some, nowMs, 'stage');
      sweep(nowMs);
    },
    applySnapshot(last, nowMs) {
      addAll(last, nowMs, 'stage');
      table.commit();
      ready = true;
      notify(nowMs);
    },
    confirmCurrent(nowMs) {
      currentAtMs = monotonicMs();
      sweep(nowMs);
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    get ready() {
      return ready;
    },
    stalenessMs,
    get size() {
      return table.size;
    },
    refusedBeforeMs(nowMs) {
      const sec = refusedBeforeSec(expirySecAt(nowMs));
      return sec === undefined ? undefined : sec * 1000;
    },
  };
}

let versions = 0;
const nextVersion = (): number => {
  versions += 1;
  return versions;
};

const isBefore = ({ issuedAtSec }: Subject, goodFromSec: number | undefined): boolean =>
  goodFromSec !== undefined && issuedAtSec < goodFromSec;

/** Rounds up to whole seconds: `iat` has whole seconds, and an entry may end late, but never early. */
const toSec = (ms: number): number => Math.min(Math.max(Math.ceil(ms / 1000), 0), latestSec);

/** Entries that expire by this second can be removed: the tokens they revoke have expired, tolerance included. */
const expirySecAt = (nowMs: number): number => Math.floor((nowMs - toleranceMs) / 1000);
