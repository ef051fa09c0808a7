import { AppError } from '../errors.ts';
import { type Claims, toleranceMs } from './claims.ts';

/** One entry of the issuer's log, in force until every token that it could concern has expired. */
export type Revocation = Readonly<{ notBeforeMs: number; expiresAtMs: number }> &
  (
    | Readonly<{ kind: 'session'; sessionId: string }>
    | Readonly<{ kind: 'member'; userId: string; tenantId: string }>
    | Readonly<{ kind: 'user'; userId: string }>
    | Readonly<{ kind: 'tenant'; tenantId: string }>
    | Readonly<{ kind: 'key'; kid: string }>
  );

type Subject = Pick<Claims, 'sessionId' | 'userId' | 'tenantId' | 'issuedAtSec'>;

/** What one issuer has revoked, as far as this gateway knows. Answers without waiting. */
export type Revocations = Readonly<{
  /** @throws AppError `token_revoked`; `revocations_unavailable` before the first snapshot, and when stale under `deny`. */
  assertNotRevoked(claims: Subject, kid: string, nowMs: number): void;
  /** Adds entries; those already there stay. */
  apply(entries: readonly Revocation[], nowMs: number): void;
  /**
   * Adds a whole snapshot, and is ready. What it does not have stays in force as well, until it expires: a log that was restored
   * from a backup, or is empty by mistake, must not make a token good again that was revoked.
   */
  applySnapshot(entries: readonly Revocation[], nowMs: number): void;
  /** The feed said that there was nothing more at this moment. */
  confirmCurrent(nowMs: number): void;
  /** Called after entries came in, so that open connections can be closed. Returns what takes it off again. */
  onChange(listener: () => void): () => void;
  /** A snapshot was read. */
  readonly ready: boolean;
  /** Milliseconds since the feed last answered in full; undefined before the first time. */
  stalenessMs(nowMs: number): number | undefined;
  readonly size: number;
}>;

// A sweep walks all that is held: at 100 logouts a second, one with each piece of news would take a quarter of a core.
const sweepEveryMs = 1_000;

type Held = { notBeforeMs: number; expiresAtMs: number };
type Entries = Record<Revocation['kind'], Map<string, Held>>;

/**
 * @param maxStalenessMs How old knowledge may be before `onStale` counts.
 * @param onStale `allow`: tokens that are not known to be revoked pass. `deny`: nothing passes until the feed is back.
 */
export function createRevocations(
  options: Readonly<{ maxStalenessMs: number; onStale: 'allow' | 'deny' }>,
): Revocations {
  const entries = emptyEntries();
  let sweptAtMs = Number.NEGATIVE_INFINITY;
  let currentAtMs: number | undefined;
  let ready = false;
  const listeners = new Set<() => void>();

  function sweep(nowMs: number): void {
    if (Math.abs(nowMs - sweptAtMs) < sweepEveryMs) return;
    sweptAtMs = nowMs;
    dropExpired(entries, nowMs);
  }

  function changed(nowMs: number): void {
    sweep(nowMs);
    for (const listener of listeners) listener();
  }

  return {
    assertNotRevoked(claims, kid, nowMs) {
      if (!ready) throw new AppError('revocations_unavailable', { detail: { reason: 'no snapshot yet' } });
      if (isRevoked(entries, claims, kid)) throw new AppError('token_revoked');
      if (options.onStale === 'deny' && nowMs - (currentAtMs ?? 0) > options.maxStalenessMs) {
        throw new AppError('revocations_unavailable', { detail: { reason: 'stale' } });
      }
    },
    apply(more, nowMs) {
      if (more.length === 0) return;
      for (const entry of more) hold(entries, entry);
      changed(nowMs);
    },
    applySnapshot(all, nowMs) {
      for (const entry of all) hold(entries, entry);
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
      return Object.values(entries).reduce((sum, held) => sum + held.size, 0);
    },
  };
}

function isRevoked(entries: Entries, claims: Subject, kid: string): boolean {
  // A session ends for good; the others end what was issued before a moment, since users and tenants come back.
  if (claims.sessionId !== undefined && entries.session.has(claims.sessionId)) return true;
  const issuedAtMs = claims.issuedAtSec * 1000;
  return (
    isBefore(issuedAtMs, entries.member.get(memberKey(claims))) ||
    isBefore(issuedAtMs, entries.user.get(claims.userId)) ||
    isBefore(issuedAtMs, entries.tenant.get(claims.tenantId)) ||
    isBefore(issuedAtMs, entries.key.get(kid))
  );
}

const isBefore = (issuedAtMs: number, held: Held | undefined): boolean =>
  held !== undefined && issuedAtMs < held.notBeforeMs;

function hold(entries: Entries, entry: Revocation): void {
  const held = entries[entry.kind];
  const key = keyOf(entry);
  const before = held.get(key);
  held.set(key, {
    notBeforeMs: Math.max(entry.notBeforeMs, before?.notBeforeMs ?? 0),
    expiresAtMs: Math.max(entry.expiresAtMs, before?.expiresAtMs ?? 0),
  });
}

function keyOf(entry: Revocation): string {
  switch (entry.kind) {
    case 'session':
      return entry.sessionId;
    case 'member':
      return memberKey(entry);
    case 'user':
      return entry.userId;
    case 'tenant':
      return entry.tenantId;
    case 'key':
      return entry.kid;
  }
}

// A space is in no identifier, so no two members share a key.
const memberKey = (member: Pick<Claims, 'tenantId' | 'userId'>): string => `${member.tenantId} ${member.userId}`;

function dropExpired(entries: Entries, nowMs: number): void {
  for (const held of Object.values(entries)) {
    // As long as a token could still pass by tolerance.
    for (const [key, { expiresAtMs }] of held) if (nowMs >= expiresAtMs + toleranceMs) held.delete(key);
  }
}

const emptyEntries = (): Entries => ({
  session: new Map(),
  member: new Map(),
  user: new Map(),
  tenant: new Map(),
  key: new Map(),
});
