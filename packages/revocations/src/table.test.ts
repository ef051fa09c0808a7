import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { RevocationTable } from './table.ts';

const startSec = 1_700_000_000;
/** A few digests. Most share a bucket in the hash table, so that its list is long. */
const digestOf = (subject: number): Int32Array => Int32Array.of(subject % 5 === 0 ? -1 : 7, subject, -subject);
const timesAt = (expiresAtSec: number, notBeforeSec = startSec) => ({ notBeforeSec, expiresAtSec });

type Known = { notBeforeSec: number; expiresAtSec: number; goneBySec: number; isStaged: boolean };

describe('the revocation table', () => {
  const subjects = Array.from({ length: 41 }, (_, key) => key);
  const subject = fc.constantFrom(...subjects);
  const ahead = fc.oneof(fc.integer({ min: 1, max: 1_000 }), fc.integer({ min: 1, max: 100_000 }));
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ do: fc.constantFrom('add', 'stage'), subject, ahead, notBefore: fc.nat(9_999) }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('commit') }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('wait'), ahead: fc.integer({ min: 1, max: 5_000 }) }) },
  ) as fc.Arbitrary<{ do: 'add' | 'stage' | 'commit' | 'wait'; subject: number; ahead: number; notBefore: number }>;

  test('finds exactly what a map would, and removes expired entries', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const table = new RevocationTable();
        const model = new Map<number, Known>();
        let nowSec = startSec;
        for (const { do: what, subject, ahead, notBefore } of steps) {
          if (what === 'wait') {
            nowSec += ahead;
            while (!table.expire(nowSec, 7));
            for (const [key, { goneBySec }] of model) if (goneBySec <= nowSec) model.delete(key);
          } else if (what === 'commit') {
            table.commit();
            for (const known of model.values()) known.isStaged = false;
          } else {
            const times = timesAt(nowSec + ahead, startSec + notBefore);
            table.put(what, digestOf(subject), 0, times, nowSec);
            const before = model.get(subject);
            const lateSec = ahead < 1024 ? 0 : Math.ceil(ahead / 512);
            model.set(subject, {
              notBeforeSec: Math.max(times.notBeforeSec, before?.notBeforeSec ?? 0),
              expiresAtSec: Math.max(times.expiresAtSec, before?.expiresAtSec ?? 0),
              goneBySec: Math.max(times.expiresAtSec + lateSec, before?.goneBySec ?? 0),
              isStaged: what === 'stage' && (before?.isStaged ?? true),
            });
          }
          // Entries that expire far in the future may stay slightly longer. None is removed early.
          const sure = subjects.filter((key) => (model.get(key)?.expiresAtSec ?? Infinity) > nowSec);
          const wanted = sure.map((key) => {
            const known = model.get(key);
            return known?.isStaged === false ? known.notBeforeSec : undefined;
          });
          expect(sure.map((key) => table.find(digestOf(key), 0))).toEqual(wanted);
          expect(table.size).toBeLessThanOrEqual(model.size);
        }
        nowSec += 300_000;
        while (!table.expire(nowSec, 1_000));
        expect(table.size).toBe(0);
      }),
    );
  });

  test('keeps the latest expiry of an entry that is added again, with any expiry', () => {
    const table = new RevocationTable();
    for (const ahead of [100, 300, 200]) table.put('add', digestOf(1), 0, timesAt(startSec + ahead), startSec);
    for (const ahead of [100, 200, 299]) table.expire(startSec + ahead, 10);
    expect(table.find(digestOf(1), 0)).toBe(startSec);
    table.expire(startSec + 300, 10);
    expect(table.find(digestOf(1), 0)).toBeUndefined();
  });

  test('drops the entries that expire first, and returns the latest times among them', () => {
    const table = new RevocationTable();
    for (let n = 0; n < 100; n += 1)
      table.put('add', digestOf(n), 0, timesAt(startSec + 900 - n, startSec - n), startSec);
    expect(table.dropEarliest(30)).toEqual({ notBeforeSec: startSec - 70, expiresAtSec: startSec + 830 });
    const left = Array.from({ length: 100 }, (_, n) => n).filter((n) => table.find(digestOf(n), 0) !== undefined);
    expect(left).toEqual(Array.from({ length: 70 }, (_, n) => n));
    expect(table.size).toBe(70);
  });

  test('reuses the memory of removed entries', () => {
    const table = new RevocationTable();
    const before = process.memoryUsage().arrayBuffers;
    for (let round = 0; round < 1_000; round += 1) {
      const nowSec = startSec + round * 10;
      while (!table.expire(nowSec, 1_000));
      for (let n = 0; n < 1_000; n += 1)
        table.put('add', Int32Array.of(Math.imul(n, 0x9e3779b1), round, 0), 0, timesAt(nowSec + 10), nowSec);
    }
    expect(table.size).toBe(1_000);
    // A million entries take 32 MiB, and the hash table takes 4 MiB.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024);
  });
});
