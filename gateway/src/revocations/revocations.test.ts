import { describe, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { createRevocations, type Revocation } from './revocations.ts';
import { nameOf } from './revoked-subject.ts';

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

  test.each(every.map((entry) => [entry.kind, entry] as const))('of a %s are the same in a group', (kind, entry) => {
    const revocations = ready();
    const named = kind === 'member' ? ['t9 u9', 't1 u1'] : ['x', nameOf(entry)];
    revocations.apply([{ kind, names: named, ...times }], nowMs);
    expect(revocations.size).toBe(2);
    expect(() => revocations.assertNotRevoked(caller, 'k1', nowMs)).toThrow(
      expect.objectContaining({ code: 'token_revoked' }),
    );
    const other = { sessionId: 's2', userId: 'u2', tenantId: 't2', issuedAtSec: nowSec - 10 };
    revocations.assertNotRevoked(other, 'k2', nowMs);
  });

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

describe('revocations of which there are more than are held one by one', () => {
  const maxHeld = 64;
  const crowded = (entries: readonly Revocation[]) => {
    const revocations = createRevocations({ maxStalenessMs: 30_000, onStale: 'allow', maxHeld });
    revocations.applySnapshot(entries, nowMs);
    return revocations;
  };
  const isRefused = (revocations: ReturnType<typeof crowded>, claims: typeof caller, kid = 'k', atMs = nowMs) => {
    try {
      revocations.assertNotRevoked(claims, kid, atMs);
      return false;
    } catch (error) {
      return (error as { code: string }).code === 'token_revoked';
    }
  };
  /** A session that was revoked some seconds ago. */
  const revoked = (n: number, agoSec = n): Revocation => {
    const notBeforeMs = nowMs - agoSec * 1000;
    return { kind: 'session', sessionId: `s-${n}`, notBeforeMs, expiresAtMs: notBeforeMs + 905_000 };
  };
  const tokenOf = (sessionId: string, issuedAtSec: number) => ({ ...caller, sessionId, issuedAtSec });

  test('refuse every token that they refused before, whatever they are of', () => {
    const ids = fc.integer({ min: 0, max: 300 }).map((n) => `i-${n}`);
    const kind = fc.constantFrom('session', 'member', 'user', 'tenant', 'key');
    const entry = fc
      .record({ kind, id: ids, agoSec: fc.integer({ min: -1, max: 600 }), lastSec: fc.integer({ min: 605, max: 905 }) })
      .map(({ kind, id, agoSec, lastSec }) => {
        const notBeforeMs = nowMs - agoSec * 1000;
        const names = { sessionId: id, userId: id, tenantId: id, kid: id };
        return { kind, ...names, notBeforeMs, expiresAtMs: notBeforeMs + lastSec * 1000 } as Revocation;
      });
    fc.assert(
      fc.property(fc.array(fc.array(entry, { maxLength: 100 }), { maxLength: 4 }), (pages) => {
        const few = crowded([]);
        const many = createRevocations({ maxStalenessMs: 30_000, onStale: 'allow' });
        many.applySnapshot([], nowMs);
        for (const page of pages) for (const each of [few, many]) each.apply(page, nowMs);
        expect(few.size).toBeLessThanOrEqual(maxHeld);
        const isNoneAccepted = pages.flat().every((each) => {
          const names = { sessionId: 'x', userId: 'x', tenantId: 'x', ...each };
          // The issuer gives out no token of a session that has ended.
          const claims = { ...names, issuedAtSec: each.notBeforeMs / 1000 - 1 };
          const kid = each.kind === 'key' ? each.kid : 'k';
          return isRefused(few, claims, kid) || !isRefused(many, claims, kid);
        });
        expect(isNoneAccepted).toBe(true);
      }),
    );
  });

  test('let pass what is issued now, and what is younger than those that gave way', () => {
    // The last to come are the oldest.
    const revocations = crowded(Array.from({ length: maxHeld + 1 }, (_, n) => revoked(n)));
    const beforeMs = revocations.refusedBeforeMs(nowMs) ?? 0;
    expect(beforeMs).toBe(nowMs - (maxHeld - 1) * 1000);
    expect(isRefused(revocations, tokenOf('another', beforeMs / 1000 - 1))).toBe(true);
    expect(isRefused(revocations, tokenOf('another', beforeMs / 1000))).toBe(false);
    expect(isRefused(revocations, tokenOf('s-1', nowMs / 1000))).toBe(true);
  });

  test('all of one moment refuse what is older than it, however many they are', () => {
    const revocations = crowded([]);
    for (let n = 0; n < 50; n += 1) {
      revocations.apply(
        Array.from({ length: maxHeld }, (_, m) => revoked(n * maxHeld + m, 10)),
        nowMs,
      );
    }
    expect(revocations.size).toBeLessThanOrEqual(maxHeld);
    expect(revocations.refusedBeforeMs(nowMs)).toBe(nowMs - 10_000);
    expect(isRefused(revocations, tokenOf('another', nowMs / 1000 - 11))).toBe(true);
    expect(isRefused(revocations, tokenOf('another', nowMs / 1000 - 10))).toBe(false);
  });

  test('refuse no others any more when those that gave way would have expired', () => {
    const revocations = crowded(Array.from({ length: maxHeld + 1 }, (_, n) => revoked(n)));
    const endMs = nowMs + 905_000 - (maxHeld - 1) * 1000 + 5_000;
    const old = tokenOf('another', nowMs / 1000 - 600);
    expect(isRefused(revocations, old, 'k', endMs - 1)).toBe(true);
    expect(isRefused(revocations, old, 'k', endMs)).toBe(false);
    expect(revocations.refusedBeforeMs(endMs)).toBeUndefined();
  });
});

test('revocations that expire together are forgotten in turns, between which the event loop goes on', async () => {
  const revocations = createRevocations({ maxStalenessMs: 30_000, onStale: 'allow' });
  const entries = Array.from(
    { length: 25_000 },
    (_, n): Revocation => ({ kind: 'session', sessionId: `s${n}`, ...times }),
  );
  revocations.applySnapshot(entries, nowMs);
  const sizes: number[] = [];
  revocations.confirmCurrent(times.expiresAtMs + 5_000);
  while (revocations.size > 0) {
    sizes.push(revocations.size);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(sizes).toEqual([15_000, 5_000]);
});

test('a part of a snapshot is in force when the rest has come, and what was in force before is so all the time', () => {
  const revocations = ready({ kind: 'session', sessionId: 's0', ...times });
  const isRefused = (sessionId: string) => {
    try {
      revocations.assertNotRevoked({ ...caller, sessionId }, 'k', nowMs);
      return false;
    } catch {
      return true;
    }
  };
  revocations.stage(
    ['s0', 's1'].map((sessionId) => ({ kind: 'session', sessionId, ...times })),
    nowMs,
  );
  expect(['s0', 's1', 's2'].map(isRefused)).toEqual([true, false, false]);
  revocations.applySnapshot([{ kind: 'session', sessionId: 's2', ...times }], nowMs);
  expect(['s0', 's1', 's2', 's3'].map(isRefused)).toEqual([true, true, true, false]);
});
