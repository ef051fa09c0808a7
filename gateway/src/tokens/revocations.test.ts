import { describe, expect, jest, test } from '@jest/globals';
import { createRevocations, type Revocation } from './revocations.ts';

const nowMs = Date.UTC(2026, 0, 1);
const nowSec = nowMs / 1000;
const caller = { sessionId: 's1', userId: 'u1', tenantId: 't1', issuedAtSec: nowSec - 10 };
const times = { notBeforeMs: nowMs + 1000, expiresAtMs: nowMs + 900_000 };

function ready(...entries: Revocation[]) {
  const revocations = createRevocations({ maxStalenessMs: 30_000, onStale: 'allow' });
  revocations.applySnapshot(entries, nowMs);
  revocations.confirmCurrent(nowMs);
  return revocations;
}

describe('revocations', () => {
  const every: Revocation[] = [
    { kind: 'session', sessionId: 's1', ...times },
    { kind: 'member', userId: 'u1', tenantId: 't1', ...times },
    { kind: 'user', userId: 'u1', ...times },
    { kind: 'tenant', tenantId: 't1', ...times },
    { kind: 'key', kid: 'k1', ...times },
  ];

  test.each(every.map((entry) => [entry.kind, entry] as const))(
    'of a %s refuse what was issued before',
    (_kind, entry) => {
      expect(() => ready(entry).assertNotRevoked(caller, 'k1', nowMs)).toThrow(
        expect.objectContaining({ code: 'token_revoked' }),
      );
    },
  );

  test.each(every.map((entry) => [entry.kind, entry] as const))('of a %s concern nobody else', (_kind, entry) => {
    const other = { sessionId: 's2', userId: 'u2', tenantId: 't2', issuedAtSec: nowSec - 10 };
    ready(entry).assertNotRevoked(other, 'k2', nowMs);
  });

  test('of a member leave the same user in another tenant, and another user in the same', () => {
    const revocations = ready({ kind: 'member', userId: 'u1', tenantId: 't1', ...times });
    revocations.assertNotRevoked({ ...caller, tenantId: 't2' }, 'k1', nowMs);
    revocations.assertNotRevoked({ ...caller, userId: 'u2' }, 'k1', nowMs);
  });

  test('of a user let pass what is issued from that moment on; of a session never', () => {
    const later = { ...caller, issuedAtSec: nowSec + 1 };
    ready({ kind: 'user', userId: 'u1', ...times }).assertNotRevoked(later, 'k1', nowMs);
    expect(() => ready({ kind: 'session', sessionId: 's1', ...times }).assertNotRevoked(later, 'k1', nowMs)).toThrow();
  });

  test('of one user twice: the later moment counts, in whatever order they come', () => {
    const early = { kind: 'user', userId: 'u1', notBeforeMs: nowMs - 60_000, expiresAtMs: nowMs + 1000 } as const;
    const late = { kind: 'user', userId: 'u1', ...times } as const;
    for (const entries of [
      [early, late],
      [late, early],
    ]) {
      expect(() => ready(...entries).assertNotRevoked(caller, 'k1', nowMs)).toThrow();
    }
  });

  test('stay in force until expiry plus tolerance, and are then forgotten', () => {
    for (const [afterMs, left] of [
      [4_999, 1],
      [5_000, 0],
    ] as const) {
      const revocations = ready({ kind: 'session', sessionId: 's1', ...times });
      revocations.confirmCurrent(times.expiresAtMs + afterMs);
      expect(revocations.size).toBe(left);
    }
  });

  test('are looked through for what has expired once a second, not with each that comes', () => {
    const revocations = ready({ kind: 'session', sessionId: 's1', notBeforeMs: nowMs, expiresAtMs: nowMs + 500 });
    const sizes = [5_400, 5_500, 6_399, 6_400].map((afterMs) => {
      revocations.apply([{ kind: 'session', sessionId: `at-${afterMs}`, ...times }], nowMs + afterMs);
      return revocations.size;
    });
    expect(sizes).toEqual([2, 3, 4, 4]);
  });

  test('that are not known yet refuse everybody with 503', () => {
    const revocations = createRevocations({ maxStalenessMs: 30_000, onStale: 'allow' });
    expect(revocations.ready).toBe(false);
    expect(() => revocations.assertNotRevoked(caller, 'k1', nowMs)).toThrow(
      expect.objectContaining({ code: 'revocations_unavailable' }),
    );
  });

  test('that are stale: allow lets pass what is not known to be revoked, deny nothing', () => {
    const stale = nowMs + 30_001;
    for (const onStale of ['allow', 'deny'] as const) {
      const revocations = createRevocations({ maxStalenessMs: 30_000, onStale });
      revocations.applySnapshot([{ kind: 'session', sessionId: 's2', ...times }], nowMs);
      revocations.confirmCurrent(nowMs);
      revocations.assertNotRevoked(caller, 'k1', nowMs + 30_000);
      const ask = () => revocations.assertNotRevoked(caller, 'k1', stale);
      if (onStale === 'allow') ask();
      else expect(ask).toThrow(expect.objectContaining({ code: 'revocations_unavailable' }));
      expect(() => revocations.assertNotRevoked({ ...caller, sessionId: 's2' }, 'k1', stale)).toThrow(
        expect.objectContaining({ code: 'token_revoked' }),
      );
    }
  });

  test.each(every.map((entry) => [entry.kind, entry] as const))(
    'of a %s outlast a snapshot of a log that does not know them',
    (_kind, entry) => {
      const revocations = ready(entry);
      revocations.applySnapshot([{ kind: 'session', sessionId: 's2', ...times }], nowMs);
      expect(revocations.size).toBe(2);
      expect(() => revocations.assertNotRevoked(caller, 'k1', nowMs)).toThrow(
        expect.objectContaining({ code: 'token_revoked' }),
      );
    },
  );

  test('tell who listens, until they listen no more', () => {
    const revocations = ready();
    const listener = jest.fn();
    const off = revocations.onChange(listener);
    revocations.apply([{ kind: 'session', sessionId: 's1', ...times }], nowMs);
    off();
    revocations.apply([{ kind: 'session', sessionId: 's2', ...times }], nowMs);
    expect(listener).toHaveBeenCalledTimes(1);
  });
});
