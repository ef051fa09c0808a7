import { describe, expect, test } from '@jest/globals';
import { readRevocationBatch } from './feed.ts';

const times = { not_before: '2026-01-01T00:00:01.000Z', expires_at: '2026-01-01T00:15:01Z' };
const read = { notBeforeMs: Date.UTC(2026, 0, 1, 0, 0, 1), expiresAtMs: Date.UTC(2026, 0, 1, 0, 15, 1) };
const place = { log: 'L1', cursor: 7, complete: true };
const batchOf = (...groups: unknown[]) => readRevocationBatch({ ...place, groups });

describe('a batch of groups', () => {
  test('equals a batch with the same items', () => {
    const groups = [
      { kind: 'session', ids: ['s1', 's2'], ...times },
      { kind: 'member', ids: ['t1 u1'], ...times },
      { kind: 'user', ids: ['u1'], ...times },
      { kind: 'tenant', ids: ['t1'], ...times },
      { kind: 'key', ids: ['k1'], ...times },
    ];
    const items = [
      { kind: 'session', sid: 's1', ...times },
      { kind: 'session', sid: 's2', ...times },
      { kind: 'member', tenant_id: 't1', user_id: 'u1', ...times },
      { kind: 'user', user_id: 'u1', ...times },
      { kind: 'tenant', tenant_id: 't1', ...times },
      { kind: 'key', kid: 'k1', ...times },
    ];
    const { entries, ...batch } = batchOf(...groups);
    const { entries: single, ...same } = readRevocationBatch({ ...place, items });
    expect(batch).toEqual(same);
    const flat = entries.flatMap(({ kind, names }) => names.map((name) => ({ kind, names: [name], ...read })));
    expect(flat).toEqual(single);
  });

  test.each<[string, unknown, number]>([
    ['a group of an unknown kind', { kind: 'planet', ids: ['x'], ...times }, 1],
    ['a group without times', { kind: 'session', ids: ['x'] }, 1],
    ['a group without ids', { kind: 'session', ...times }, 1],
    ['invalid ids', { kind: 'session', ids: [null, 7, '', 'x'.repeat(257), {}], ...times }, 5],
    ['members without exactly two names', { kind: 'member', ids: ['t1', 't1 ', ' u1', 't1 u1 u2', 7], ...times }, 5],
    ['null', null, 1],
  ])('with %s, applies the rest and counts what it ignores', (_what, group, unknown) => {
    const batch = batchOf({ kind: 'session', ids: ['s1'], ...times }, group, { kind: 'user', ids: ['u1'], ...times });
    expect(batch.entries.filter(({ names }) => names.length > 0)).toEqual([
      { kind: 'session', names: ['s1'], ...read },
      { kind: 'user', names: ['u1'], ...read },
    ]);
    expect([batch.count, batch.unknown]).toEqual([2, unknown]);
  });

  test('is refused with more than 5,000 ids', () => {
    const ids = Array.from({ length: 2_501 }, (_, n) => `s${n}`);
    expect(() => batchOf(...[1, 2].map(() => ({ kind: 'session', ids, ...times })))).toThrow('5000');
  });

  test('is refused without groups or items', () => {
    expect(() => readRevocationBatch(place)).toThrow();
  });
});
