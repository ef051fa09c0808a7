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

/** One entry of the issuer's log, in force until every token that it could concern has expired. */
export type Revocation = Times & RevokedSubject;

/** Many of them with the same kind and times. A member's name is `<tenant id> <user id>`. */
export type RevocationGroup = Times & Readonly<{ kind: RevokedSubject['kind']; names: readonly string[] }>;

type Times = Readonly<{ notBeforeMs: number; expiresAtMs: number }>;
type Entries = readonly (Revocation | RevocationGroup)[];

/** What one issuer has revoked, as far as this gateway knows. Answers without waiting. */
export type Revocations = Readonly<{
  /** @throws AppError `token_revoked`; `revocations_unavailable` before the first snapshot, and when stale under `deny`. */
  assertNotRevoked(claims: Subject, kid: string, nowMs: number): void;
  /** Adds entries; those already there stay. */
  apply(entries: Entries, nowMs: number): void;
  /** Takes a part of a snapshot that has more. It comes into force with the rest, at the next {@link applySnapshot}. */
  stage(entries: Entries, nowMs: number): void;
  /**
   * Puts a whole snapshot into force, of which these are the last entries, and is ready. What it does not have stays in force as
   * well, until it expires: a log that was restored from a backup, or is empty by mistake, must not make a token good again that
   * was revoked.
   */
  applySnapshot(entries: Entries, nowMs: number): void;
  /** The feed said that there was nothing more at this moment. */
  confirmCurrent(nowMs: number): void;
  /** Called after entries came in, so that open connections can be closed. Returns what takes it off again. */
  onChange(listener: () => void): () => void;
  /** A snapshot was read. */
  readonly ready: boolean;
  /** Milliseconds since the feed last answered in full; undefined before the first time. */
  stalenessMs(nowMs: number): number | undefined;
  readonly size: number;
  /**
   * Every token of this issuer that was issued before this moment is refused, since more was revoked than is held one by one.
   * Undefined: none is.
   */
  refusedBeforeMs(nowMs: number): number | undefined;
}>;

/** Entries of one issuer that are held one by one, with 36 bytes each. */
const defaultMaxHeld = 2_000_000;
// The share of them that gives way at once when there are more: takes some 10 ms.
const givesWay = 1 / 64;

const sweepEveryMs = 1_000;
// Takes some 2 ms. What is left is forgotten in further turns of the event loop.
const sweptAtOnce = 10_000;

/**
 * Beyond `maxHeld` the entries that expire first give way to one rule: every token that is older than the latest of them is refused
 * until the last of them would have expired. It refuses all that they did, since an issuer issues nothing for a session that has
 * ended, and the clients of others get a token that passes when they refresh.
 *
 * @param options.maxStalenessMs How old knowledge may be before `onStale` counts.
 * @param options.onStale `allow`: tokens that are not known to be revoked pass. `deny`: nothing passes until the feed is back.
 */
export function createRevocations(
  options: Readonly<{ maxStalenessMs: number; onStale: 'allow' | 'deny'; maxHeld?: number }>,
): Revocations {
  const { maxHeld = defaultMaxHeld } = options;
  const table = new RevocationTable();
  const digest = new Int32Array(digestWords);
  // By kind: when the last entry of it expires. Mostly there are sessions only, and the other kinds need no look.
  const lastExpirySec = { session: 0, member: 0, user: 0, tenant: 0, key: 0 };
  let everyone: TableEntry = { notBeforeSec: 0, expiresAtSec: 0 };
  let sweptAtMs = Number.NEGATIVE_INFINITY;
  let currentAtMs: number | undefined;
  let ready = false;
  const listeners = new Set<() => void>();

  function hold(entries: Entries, nowMs: number, how: 'add' | 'stage'): void {
    const nowSec = expirySecAt(nowMs);
    for (const entry of entries) {
      const times = { notBeforeSec: toSec(entry.notBeforeMs), expiresAtSec: toSec(entry.expiresAtMs) };
      // Many of a group are taken as they are: an object each would make the heap grow by 100 MB over a million.
      if (!('names' in entry)) holdOne(entry.kind, nameOf(entry), times, nowSec, how);
      else for (const name of entry.names) holdOne(entry.kind, name, times, nowSec, how);
    }
  }

  function holdOne(
    kind: RevokedSubject['kind'],
    name: string,
    times: TableEntry,
    nowSec: number,
    how: 'add' | 'stage',
  ): void {
    if (times.notBeforeSec <= everyone.notBeforeSec && times.expiresAtSec <= everyone.expiresAtSec) return;
    if (table.size >= maxHeld) makeRoom(nowSec);
    digestRevoked(kind, name, digest);
    table[how](digest, 0, times, nowSec);
    lastExpirySec[kind] = Math.max(lastExpirySec[kind], times.expiresAtSec);
  }

  function makeRoom(nowSec: number): void {
    const dropped = table.dropFirst(Math.ceil(maxHeld * givesWay));
    if (dropped.expiresAtSec <= nowSec) return;
    const before = everyone.expiresAtSec > nowSec ? everyone : dropped;
    everyone = {
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
    const isDone = table.expire(nowSec, sweptAtOnce);
    if (!isDone) setImmediate(forgetExpired, nowSec);
  }

  function changed(nowMs: number): void {
    sweep(nowMs);
    for (const listener of listeners) listener();
  }

  function refusedBeforeSec(nowSec: number): number | undefined {
    return everyone.expiresAtSec > nowSec ? everyone.notBeforeSec : undefined;
  }

  function isRevoked(claims: Subject, kid: string, nowSec: number): boolean {
    if (table.size === 0) return false;
    const digests = digestsOf(claims, kid);
    const goodFrom = (kind: Revocation['kind']): number | undefined =>
      lastExpirySec[kind] > nowSec ? table.find(digests, placeOf[kind] * digestWords) : undefined;
    // A session ends for good; the others end what was issued before a moment, since users and tenants come back.
    if (claims.sessionId !== undefined && goodFrom('session') !== undefined) return true;
    return (
      isBefore(claims, goodFrom('member')) ||
      isBefore(claims, goodFrom('user')) ||
      isBefore(claims, goodFrom('tenant')) ||
      isBefore(claims, goodFrom('key'))
    );
  }

  return {
    assertNotRevoked(claims, kid, nowMs) {
      if (!ready) throw new AppError('revocations_unavailable', { detail: { reason: 'no snapshot yet' } });
      const nowSec = expirySecAt(nowMs);
      if (isRevoked(claims, kid, nowSec)) throw new AppError('token_revoked');
      if (isBefore(claims, refusedBeforeSec(nowSec))) {
        throw new AppError('token_revoked', { detail: { reason: 'too many revocations: older tokens are refused' } });
      }
      if (options.onStale === 'deny' && nowMs - (currentAtMs ?? 0) > options.maxStalenessMs) {
        throw new AppError('revocations_unavailable', { detail: { reason: 'stale' } });
      }
    },
    apply(more, nowMs) {
      if (more.length === 0) return;
      hold(more, nowMs, 'add');
      changed(nowMs);
    },
    stage(some, nowMs) {
      hold(some, nowMs, 'stage');
      sweep(nowMs);
    },
    applySnapshot(last, nowMs) {
      hold(last, nowMs, 'stage');
      table.commit();
      ready = true;
      changed(nowMs);
    },
    confirmCurrent(nowMs) {
      currentAtMs = nowMs;
      sweep(nowMs);
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    get ready() {
      return ready;
    },
    stalenessMs: (nowMs) => (currentAtMs === undefined ? undefined : nowMs - currentAtMs),
    get size() {
      return table.size;
    },
    refusedBeforeMs(nowMs) {
      const sec = refusedBeforeSec(expirySecAt(nowMs));
      return sec === undefined ? undefined : sec * 1000;
    },
  };
}

const isBefore = ({ issuedAtSec }: Subject, goodFromSec: number | undefined): boolean =>
  goodFromSec !== undefined && issuedAtSec < goodFromSec;

/** Up to the next whole second: `iat` counts whole seconds, and an entry may end late, never early. */
const toSec = (ms: number): number => Math.min(Math.max(Math.ceil(ms / 1000), 0), latestSec);

/** An entry that ends by this second is over: a token that it concerns does not even pass by tolerance. */
const expirySecAt = (nowMs: number): number => Math.floor((nowMs - toleranceMs) / 1000);
