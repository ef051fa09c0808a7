import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  activeKey,
  dueKey,
  type KeyTimes,
  keyState,
  lifeFrom,
  nextKey,
  publishedKeys,
  retiredAt,
} from './signing-key-lifecycle.ts';

const start = Date.parse('2026-01-01T00:00:00Z');
const hourMs = 3_600_000;

/** Simulates a year of a service that checks its keys at these intervals. */
function live(gapsHours: readonly number[]) {
  const keys: KeyTimes[] = [];
  const moments: Date[] = [];
  let now = start;
  for (const gap of gapsHours) {
    const due = dueKey(keys, new Date(now));
    if (due !== undefined) keys.push({ ...due, revoked_at: null });
    moments.push(new Date(now));
    now += gap * hourMs;
  }
  return { keys, moments };
}

describe('signing keys', () => {
  test('activates the first key immediately, and creates no second key', () => {
    const now = new Date(start);
    const first = dueKey([], now);
    const key = { ...first, revoked_at: null } as KeyTimes;
    expect(keyState(key, [key], now)).toBe('active');
    expect(dueKey([key], now)).toBeUndefined();
  });

  test('is published 25 h before it signs, signs for 90 days, and stays published for 27 h more', () => {
    const plus = (hours: number) => new Date(start + hours * hourMs);
    const first = { ...lifeFrom(plus(0), plus(0)), revoked_at: null };
    expect(first).toEqual({
      publish_at: plus(0),
      activate_at: plus(0),
      retire_at: plus(90 * 24),
      remove_at: plus(90 * 24 + 27),
      revoked_at: null,
    });
    // An operator's rotation retires a key earlier, and removes it as long after that.
    expect(retiredAt(plus(5))).toEqual({ retire_at: plus(5), remove_at: plus(32) });
    // The next key is created a minute after this one became active.
    expect(dueKey([first], new Date(start + 59_999))).toBeUndefined();
    const next = { ...dueKey([first], new Date(start + 60_000)), revoked_at: null } as KeyTimes;
    expect([next.activate_at, next.retire_at]).toEqual([plus(90 * 24), plus(180 * 24)]);
    expect(nextKey([first, next], plus(1))).toEqual({ key: next, knownAt: new Date(start + 60_000 + 25 * hourMs) });
    // If it is due late, it still waits until every verifier knows it.
    expect(dueKey([first], plus(90 * 24))?.activate_at).toEqual(plus(90 * 24 + 25));
    const all = [first, next];
    const states = (hours: number, ms = 0) =>
      all.map((key) => keyState(key, all, new Date(plus(hours).getTime() + ms)));
    expect([states(90 * 24, -1), states(90 * 24)]).toEqual([
      ['active', 'pending'],
      ['retiring', 'active'],
    ]);
    expect([states(90 * 24 + 27, -1)[0], states(90 * 24 + 27)[0]]).toEqual(['retiring', 'removed']);
    expect(
      [plus(90 * 24 + 27), new Date(plus(90 * 24 + 27).getTime() - 1)].map((at) => publishedKeys(all, at).length),
    ).toEqual([1, 2]);
  });

  test('always has a signing key that every verifier has known for 25 h', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 600, maxLength: 900 }), (gaps) => {
        const { keys, moments } = live(gaps);
        expect(keys.length).toBeGreaterThan(1);
        for (const now of moments) {
          const signing = activeKey(keys, now);
          if (signing === undefined) throw new Error(`none at ${now.toISOString()}`);
          expect(publishedKeys(keys, now)).toContain(signing);
          const isFirst = signing === keys[0];
          expect(isFirst || now.getTime() - signing.publish_at.getTime() >= 25 * hourMs).toBe(true);
        }
      }),
      { numRuns: 20 },
    );
  });

  test('each key moves through its states in order, and signs until its successor is active', () => {
    const { keys } = live(Array(120).fill(20));
    const [first, second] = keys;
    if (first === undefined || second === undefined) throw new Error('two keys were expected');
    const states = (now: number) => [keyState(first, keys, new Date(now)), keyState(second, keys, new Date(now))];
    const activation = second.activate_at.getTime();
    expect(states(activation - 1)).toEqual(['active', 'pending']);
    expect(states(activation)).toEqual(['retiring', 'active']);
    expect(states(first.remove_at.getTime())).toEqual(['removed', 'active']);
  });

  test('a revoked key neither signs nor is published, and is replaced immediately if it was the only one', () => {
    const now = new Date(start);
    const revoked = { ...dueKey([], now), revoked_at: now } as KeyTimes;
    expect([activeKey([revoked], now), publishedKeys([revoked], now)]).toEqual([undefined, []]);
    expect(dueKey([revoked], now)?.activate_at).toEqual(now);
  });
});

test('a verifier with the oldest allowed key set accepts every token, however often an operator rotates', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ gapHours: fc.integer({ min: 1, max: 100 }), rotates: fc.boolean() }), {
        minLength: 10,
        maxLength: 40,
      }),
      (steps) => {
        const keys: (KeyTimes & { id: number })[] = [];
        /** The published key sets and their times. */
        const shown: { at: number; ids: number[] }[] = [];
        let now = start;
        const add = (times: Omit<KeyTimes, 'revoked_at'>) => keys.push({ ...times, revoked_at: null, id: keys.length });
        const look = () => {
          const at = new Date(now);
          const due = dueKey(keys, at);
          if (due !== undefined) add(due);
          shown.push({ at: now, ids: publishedKeys(keys, at).map(({ id }) => id) });
          const signing = activeKey(keys, at);
          const stalest = shown.findLast((set) => set.at <= now - 25 * hourMs) ?? shown[0];
          expect(stalest?.ids).toContain(signing?.id);
        };
        look();
        for (const { gapHours, rotates } of steps) {
          for (let hour = 0; hour < gapHours; hour += 1) {
            now += hourMs;
            look();
          }
          if (!rotates) continue;
          // The same as `keys rotate`.
          const at = new Date(now);
          const next = nextKey(keys, at);
          const takesOver = new Date(Math.max(now, next?.knownAt.getTime() ?? now + 25 * hourMs));
          const active = activeKey(keys, at);
          if (active !== undefined) Object.assign(active, retiredAt(takesOver));
          if (next !== undefined) Object.assign(next.key, lifeFrom(next.key.publish_at, takesOver));
          else add(lifeFrom(at, takesOver));
          look();
        }
      },
    ),
    { numRuns: 15 },
  );
});
