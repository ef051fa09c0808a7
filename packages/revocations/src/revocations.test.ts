import { describe, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { type RevocationGroup, Revocations } from './revocations.ts';

const nowMs = Date.UTC(2026, 0, 1);
const nowSec = nowMs / 1000;
const caller = { sessionId: 's1', userId: 'u1', clientId: 'c1', tenantId: 't1', issuedAtSec: nowSec - 10 };
const times = { notBeforeMs: nowMs + 1000, expiresAtMs: nowMs + 900_000 };

function ready(...entries: RevocationGroup[]) {
  const revocations = new Revocations({ toleranceMs: 5_000, maxStalenessMs: 30_000, onStale: 'allow' });
  revocations.applySnapshot(entries, nowMs);
  revocations.confirmCurrent(nowMs);
  return revocations;
}

describe('revocations', () => {
  const every: RevocationGroup[] = [
    { kind: 'session', names: ['s1'], ...times },
    { kind: 'member', names: ['t1 u1'], ...times },
    { kind: 'user', names: ['u1'], ...times },
    { kind: 'client', names: ['t1 c1'], ...times },
    { kind: 'tenant', names: ['t1'], ...times },
    { kind: 'key', names: ['k1'], ...times },
  ];

  test.each(every.map((entry) => [entry.kind, entry] as const))(
    'of a %s refuse tokens issued before',
    (_kind, entry) => {
      expect(ready(entry).refusalOf(caller, 'k1', nowMs)).toMatchObject({ code: 'token_revoked' });
    },
  );

  test.each(every.map((entry) => [entry.kind, entry] as const))('of a %s affect no other subject', (_kind, entry) => {
    const other = { sessionId: 's2', userId: 'u2', clientId: 'c2', tenantId: 't2', issuedAtSec: nowSec - 10 };
    expect(ready(entry).refusalOf(other, 'k2', nowMs)).toBeUndefined();
  });

  test('within a second refuse the tokens issued in that second, because iat has whole seconds', () => {
    const revocations = ready({ kind: 'user', names: ['u1'], ...times, notBeforeMs: nowMs + 1 });
    expect(revocations.refusalOf({ ...caller, issuedAtSec: nowSec }, 'k1', nowMs)?.code).toBe('token_revoked');
    expect(revocations.refusalOf({ ...caller, issuedAtSec: nowSec + 1 }, 'k1', nowMs)).toBeUndefined();
  });

  test('of a member affect neither the user in other tenants nor other users in the tenant', () => {
    const revocations = ready({ kind: 'member', names: ['t1 u1'], ...times });
    expect(revocations.refusalOf({ ...caller, tenantId: 't2' }, 'k1', nowMs)).toBeUndefined();
    expect(revocations.refusalOf({ ...caller, userId: 'u2' }, 'k1', nowMs)).toBeUndefined();
  });

  test('of a session in a tenant affect neither the session in another tenant nor one without a tenant', () => {
    const revocations = ready({ kind: 'session', names: ['t1 s1'], ...times });
    expect(revocations.refusalOf(caller, 'k1', nowMs)).toMatchObject({ code: 'token_revoked' });
    for (const tenantId of ['t2', undefined]) {
      expect(revocations.refusalOf({ ...caller, tenantId }, 'k1', nowMs)).toBeUndefined();
    }
  });

  test('of an OAuth client end its own tokens and those of users who logged in with it, only in that tenant', () => {
    const revocations = ready({ kind: 'client', names: ['t1 c1'], ...times });
    const oauthClient = { ...caller, sessionId: undefined, userId: undefined };
    for (const claims of [oauthClient, caller]) {
      expect(revocations.refusalOf(claims, 'k1', nowMs)).toMatchObject({ code: 'token_revoked' });
      expect(revocations.refusalOf({ ...claims, tenantId: 't2' }, 'k1', nowMs)).toBeUndefined();
      expect(revocations.refusalOf({ ...claims, tenantId: undefined }, 'k1', nowMs)).toBeUndefined();
      expect(revocations.refusalOf({ ...claims, clientId: 'c2' }, 'k1', nowMs)).toBeUndefined();
      expect(revocations.refusalOf({ ...claims, issuedAtSec: nowSec + 1 }, 'k1', nowMs)).toBeUndefined();
    }
  });

  test('of a user, a member or a session never end the token of an OAuth client with the same id', () => {
    const oauthClient = {
      sessionId: undefined,
      userId: undefined,
      clientId: 'u1',
      tenantId: 't1',
      issuedAtSec: nowSec - 10,
    };
    expect(
      ready(
        { kind: 'user', names: ['u1'], ...times },
        { kind: 'member', names: ['t1 u1'], ...times },
        { kind: 'session', names: ['u1'], ...times },
      ).refusalOf(oauthClient, 'k1', nowMs),
    ).toBeUndefined();
  });

  test('of a user accept tokens issued later, and those of a session never do', () => {
    const later = { ...caller, issuedAtSec: nowSec + 1 };
    expect(ready({ kind: 'user', names: ['u1'], ...times }).refusalOf(later, 'k1', nowMs)).toBeUndefined();
    expect(ready({ kind: 'session', names: ['s1'], ...times }).refusalOf(later, 'k1', nowMs)).toBeDefined();
  });

  test('of the same user use the later time, in any order', () => {
    const early = { kind: 'user', names: ['u1'], notBeforeMs: nowMs - 60_000, expiresAtMs: nowMs + 1000 } as const;
    const late = { kind: 'user', names: ['u1'], ...times } as const;
    for (const entries of [
      [early, late],
      [late, early],
    ]) {
      expect(ready(...entries).refusalOf(caller, 'k1', nowMs)).toBeDefined();
    }
  });

  test('stay in effect until expiry plus tolerance, and are then removed', () => {
    for (const [afterMs, left] of [
      [4_999, 1],
      [5_000, 0],
    ] as const) {
      const revocations = ready({ kind: 'session', names: ['s1'], ...times });
      revocations.confirmCurrent(times.expiresAtMs + afterMs);
      expect(revocations.size).toBe(left);
    }
  });

  test('remove expired entries once a second, not at each new entry', () => {
    const revocations = ready({ kind: 'session', names: ['s1'], notBeforeMs: nowMs, expiresAtMs: nowMs + 500 });
    const sizes = [5_400, 5_500, 6_399, 6_400].map((afterMs) => {
      revocations.apply([{ kind: 'session', names: [`at-${afterMs}`], ...times }], nowMs + afterMs);
      return revocations.size;
    });
    expect(sizes).toEqual([2, 3, 4, 4]);
  });

  test('refuse every token with 503 before the first snapshot', () => {
    const revocations = new Revocations({ toleranceMs: 5_000, maxStalenessMs: 30_000, onStale: 'allow' });
    expect(revocations.ready).toBe(false);
    expect(revocations.refusalOf(caller, 'k1', nowMs)).toMatchObject({ code: 'revocations_unavailable' });
  });

  test('that are stale accept unrevoked tokens with allow, and refuse all tokens with deny', () => {
    for (const onStale of ['allow', 'deny'] as const) {
      let uptimeMs = 0;
      const revocations = new Revocations({
        toleranceMs: 5_000,
        maxStalenessMs: 30_000,
        onStale,
        monotonicMs: () => uptimeMs,
      });
      revocations.applySnapshot([{ kind: 'session', names: ['s2'], ...times }], nowMs);
      revocations.confirmCurrent(nowMs);
      uptimeMs = 30_000;
      // The system clock is an hour ahead, which must not affect the feed's age.
      expect(revocations.refusalOf(caller, 'k1', nowMs + 3_600_000)).toBeUndefined();
      uptimeMs = 30_001;
      const refusal = onStale === 'allow' ? undefined : { code: 'revocations_unavailable', reason: 'stale' };
      expect(revocations.refusalOf(caller, 'k1', nowMs)).toEqual(refusal);
      expect(revocations.refusalOf({ ...caller, sessionId: 's2' }, 'k1', nowMs)).toMatchObject({
        code: 'token_revoked',
      });
    }
  });

  test.each(every.map((entry) => [entry.kind, entry] as const))(
    'of a %s outlast a snapshot that does not contain them',
    (_kind, entry) => {
      const revocations = ready(entry);
      revocations.applySnapshot([{ kind: 'session', names: ['s2'], ...times }], nowMs);
      expect(revocations.size).toBe(2);
      expect(revocations.refusalOf(caller, 'k1', nowMs)).toMatchObject({ code: 'token_revoked' });
    },
  );

  test.each(every.map((entry) => [entry.kind, entry] as const))(
    'of a %s have the same effect as a group',
    (kind, entry) => {
      const revocations = ready();
      const other = kind === 'member' || kind === 'client' ? 't9 u9' : 'x';
      revocations.apply([{ kind, names: [other, ...entry.names], ...times }], nowMs);
      expect(revocations.size).toBe(2);
      expect(revocations.refusalOf(caller, 'k1', nowMs)).toMatchObject({ code: 'token_revoked' });
      const stranger = { sessionId: 's2', userId: 'u2', clientId: 'c2', tenantId: 't2', issuedAtSec: nowSec - 10 };
      expect(revocations.refusalOf(stranger, 'k2', nowMs)).toBeUndefined();
    },
  );

  test('call a listener until it is removed', () => {
    const revocations = ready();
    const listener = jest.fn();
    const off = revocations.onChange(listener);
    revocations.apply([{ kind: 'session', names: ['s1'], ...times }], nowMs);
    off();
    revocations.apply([{ kind: 'session', names: ['s2'], ...times }], nowMs);
    expect(listener).toHaveBeenCalledTimes(1);
  });
});

describe('revocations that memory cannot hold', () => {
  const maxHeld = 64;
  const crowded = (entries: readonly RevocationGroup[]) => {
    const revocations = new Revocations({ toleranceMs: 5_000, maxStalenessMs: 30_000, onStale: 'allow', maxHeld });
    revocations.applySnapshot(entries, nowMs);
    return revocations;
  };
  const isRefused = (revocations: ReturnType<typeof crowded>, claims: typeof caller, kid = 'k', atMs = nowMs) => {
    return revocations.refusalOf(claims, kid, atMs) !== undefined;
  };
  /** Builds a session that was revoked a number of seconds ago. */
  const revoked = (n: number, agoSec = n): RevocationGroup => {
    const notBeforeMs = nowMs - agoSec * 1000;
    return { kind: 'session', names: [`s-${n}`], notBeforeMs, expiresAtMs: notBeforeMs + 905_000 };
  };
  const tokenOf = (sessionId: string, issuedAtSec: number) => ({ ...caller, sessionId, issuedAtSec });

  test('still refuse every token that they refused before, for every kind', () => {
    const ids = fc.integer({ min: 0, max: 300 }).map((n) => `i-${n}`);
    const kind = fc.constantFrom('session', 'member', 'user', 'client', 'tenant', 'key');
    const entry = fc
      .record({ kind, id: ids, agoSec: fc.integer({ min: -1, max: 600 }), lastSec: fc.integer({ min: 605, max: 905 }) })
      .map(({ kind, id, agoSec, lastSec }) => {
        const notBeforeMs = nowMs - agoSec * 1000;
        const names = [kind === 'member' || kind === 'client' ? `${id} ${id}` : id];
        return { kind, names, notBeforeMs, expiresAtMs: notBeforeMs + lastSec * 1000 } satisfies RevocationGroup;
      });
    fc.assert(
      fc.property(fc.array(fc.array(entry, { maxLength: 100 }), { maxLength: 4 }), (pages) => {
        const few = crowded([]);
        const many = new Revocations({ toleranceMs: 5_000, maxStalenessMs: 30_000, onStale: 'allow' });
        many.applySnapshot([], nowMs);
        for (const page of pages) for (const each of [few, many]) each.apply(page, nowMs);
        expect(few.size).toBeLessThanOrEqual(maxHeld);
        const isNoneAccepted = pages.flat().every((each) => {
          const id = each.names[0]?.split(' ')[0] ?? '';
          // An issuer issues no more tokens for an ended session.
          const issuedAtSec = each.notBeforeMs / 1000 - 1;
          const claims = { sessionId: id, userId: id, clientId: id, tenantId: id, issuedAtSec };
          const kid = each.kind === 'key' ? id : 'k';
          return isRefused(few, claims, kid) || !isRefused(many, claims, kid);
        });
        expect(isNoneAccepted).toBe(true);
      }),
    );
  });

  test('accept tokens issued now, and tokens newer than the dropped entries', () => {
    // The entries added last are the oldest.
    const revocations = crowded(Array.from({ length: maxHeld + 1 }, (_, n) => revoked(n)));
    const beforeMs = revocations.refusedBeforeMs(nowMs) ?? 0;
    expect(beforeMs).toBe(nowMs - (maxHeld - 1) * 1000);
    expect(isRefused(revocations, tokenOf('another', beforeMs / 1000 - 1))).toBe(true);
    expect(isRefused(revocations, tokenOf('another', beforeMs / 1000))).toBe(false);
    expect(isRefused(revocations, tokenOf('s-1', nowMs / 1000))).toBe(true);
  });

  test('with the same time refuse only older tokens, however many there are', () => {
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

  test('stop refusing other tokens when the dropped entries would have expired', () => {
    const revocations = crowded(Array.from({ length: maxHeld + 1 }, (_, n) => revoked(n)));
    const endMs = nowMs + 905_000 - (maxHeld - 1) * 1000 + 5_000;
    const old = tokenOf('another', nowMs / 1000 - 600);
    expect(isRefused(revocations, old, 'k', endMs - 1)).toBe(true);
    expect(isRefused(revocations, old, 'k', endMs)).toBe(false);
    expect(revocations.refusedBeforeMs(endMs)).toBeUndefined();
  });
});

test('removes revocations that expire together over several turns of the event loop', async () => {
  const revocations = new Revocations({ toleranceMs: 5_000, maxStalenessMs: 30_000, onStale: 'allow' });
  const entries = Array.from(
    { length: 25_000 },
    (_, n): RevocationGroup => ({ kind: 'session', names: [`s${n}`], ...times }),
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

test('applies a snapshot only after its last page, and keeps known revocations in effect meanwhile', () => {
  const revocations = ready({ kind: 'session', names: ['s0'], ...times });
  const isRefused = (sessionId: string) => {
    return revocations.refusalOf({ ...caller, sessionId }, 'k', nowMs) !== undefined;
  };
  revocations.stage(
    ['s0', 's1'].map((sessionId) => ({ kind: 'session', names: [sessionId], ...times })),
    nowMs,
  );
  expect(['s0', 's1', 's2'].map(isRefused)).toEqual([true, false, false]);
  revocations.applySnapshot([{ kind: 'session', names: ['s2'], ...times }], nowMs);
  expect(['s0', 's1', 's2', 's3'].map(isRefused)).toEqual([true, true, true, false]);
});

describe('a token that was accepted before', () => {
  const other: RevocationGroup = { kind: 'session', names: ['other'], ...times };
  const claims = () => ({ ...caller });
  const refused = expect.objectContaining({ code: 'token_revoked' });
  const own: RevocationGroup = { kind: 'user', names: ['u1'], ...times };

  test.each<[string, (revocations: ReturnType<typeof ready>) => void]>([
    ['a new entry', (revocations) => revocations.apply([own], nowMs)],
    ['the last entries of a snapshot', (revocations) => revocations.applySnapshot([own], nowMs)],
    [
      'a staged part of a snapshot, once the snapshot applies',
      (revocations) => {
        revocations.stage([own], nowMs);
        revocations.applySnapshot([], nowMs);
      },
    ],
  ])('is refused after %s', (_name, revoke) => {
    const revocations = ready(other);
    const token = claims();
    for (let use = 0; use < 3; use += 1) expect(revocations.refusalOf(token, 'k1', nowMs)).toBeUndefined();
    revoke(revocations);
    for (let use = 0; use < 3; use += 1) expect(revocations.refusalOf(token, 'k1', nowMs)).toEqual(refused);
  });

  test('is refused by the revocations in another configuration', () => {
    const token = claims();
    expect(ready(other).refusalOf(token, 'k1', nowMs)).toBeUndefined();
    expect(ready(own).refusalOf(token, 'k1', nowMs)).toEqual(refused);
  });

  test('is refused if the clock is set back to a time at which an entry is in effect', () => {
    const revocations = ready(own, { ...other, expiresAtMs: times.expiresAtMs * 2 });
    const token = claims();
    expect(revocations.refusalOf(token, 'k1', times.expiresAtMs + 60_000)).toBeUndefined();
    expect(revocations.refusalOf(token, 'k1', nowMs)).toEqual(refused);
  });
});
