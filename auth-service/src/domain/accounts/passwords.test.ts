import { describe, expect, test } from '@jest/globals';
import { parseKeyRing } from '../keys/key-ring.ts';
import { createHashQueue } from './hash-queue.ts';
import { createPasswords } from './passwords.ts';

const pepper = (id: string, fill: number) => `${id}:${Buffer.alloc(32, fill).toString('base64url')}`;
const queue = createHashQueue({ concurrency: 2, maxWaiting: 100 });
const make = (peppers = pepper('a', 1), cost = 4) => createPasswords({ peppers: parseKeyRing(peppers), cost, queue });

describe('password hashing', () => {
  const a = (count: number) => 'a'.repeat(count);
  test.each([
    ['72 and 73 bytes', a(72), a(73)],
    ['different text after 72 equal bytes', `${a(72)}one`, `${a(72)}two`],
    ['255 bytes and 256', a(255), a(256)],
    ['a NUL inside', 'before\0after', 'before\0other'],
    ['a trailing NUL', 'before', 'before\0'],
    ['emoji across the 72-byte limit', `${a(70)}😀`, `${a(70)}😁`],
    ['empty and one space', '', ' '],
  ])('distinguishes %s', async (_, right, wrong) => {
    const passwords = await make();
    const stored = await passwords.hash(right);
    expect(await passwords.verify(right, stored)).toBe(true);
    expect(await passwords.verify(wrong, stored)).toBe(false);
  });

  test.each([
    ['composed and combined', 'caf\u00e9', 'cafe\u0301'],
    ['full width', 'password', 'ｐａｓｓｗｏｒｄ'],
    ['Hangul', '\ud55c', '\u1112\u1161\u11ab'],
  ])('a password matches in every Unicode form: %s', async (_, one, other) => {
    const passwords = await make();
    expect(one).not.toBe(other);
    expect(await passwords.verify(other, await passwords.hash(one))).toBe(true);
  });

  test('no password matches for an unknown account', async () => {
    const passwords = await make();
    expect(await passwords.verify('', undefined)).toBe(false);
  });

  test('a hash does not match after its pepper was removed', async () => {
    const stored = await (await make(pepper('gone', 3))).hash('correct horse');
    expect(await (await make()).verify('correct horse', stored)).toBe(false);
  });

  test('a hash with an older, lower cost takes as much work as an unknown account', async () => {
    const passwords = await make(pepper('a', 1), 9);
    const stored = await (await make(pepper('a', 1), 4)).hash('correct horse');
    /** CPU time of all threads of this process in microseconds; other processes do not count. */
    const work = async (of: typeof stored | undefined) => {
      const before = process.cpuUsage();
      for (let turn = 0; turn < 8; turn += 1) expect(await passwords.verify('wrong', of)).toBe(false);
      return process.cpuUsage(before).user;
    };
    // Without the extra work, the ratio would be 1/32.
    expect((await work(stored)) / (await work(undefined))).toBeGreaterThan(0.5);
  });

  test('a hash is stale when its cost or pepper is outdated', async () => {
    const old = await (await make()).hash('correct horse');
    const rotated = await make(`${pepper('b', 2)},${pepper('a', 1)}`);
    expect(await rotated.verify('correct horse', old)).toBe(true);
    expect(rotated.isStale(old)).toBe(true);
    expect((await make(pepper('a', 1), 5)).isStale(old)).toBe(true);
    expect((await make()).isStale(old)).toBe(false);
  });
});

describe('the hash queue', () => {
  test('runs a few hashes at a time, queues a few in order, and refuses the rest', async () => {
    const bounded = createHashQueue({ concurrency: 2, maxWaiting: 3 });
    const gates = Array.from({ length: 5 }, () => Promise.withResolvers<void>());
    const started: number[] = [];
    const done = gates.map(({ promise }, index) =>
      bounded.run(async () => {
        started.push(index);
        await promise;
      }),
    );
    await expect(bounded.run(async () => {})).rejects.toMatchObject({ code: 'login_busy' });
    expect([started, bounded.waiting]).toEqual([[0, 1], 3]);
    for (const [index, { resolve }] of gates.entries()) {
      resolve();
      await done[index];
    }
    expect(started).toEqual([0, 1, 2, 3, 4]);
    await expect(bounded.run(async () => 'free again')).resolves.toBe('free again');
  });

  test('refuses a hash that has waited too long, and runs the others', async () => {
    const bounded = createHashQueue({ concurrency: 1, maxWaiting: 2, maxWaitMs: 10 });
    const gate = Promise.withResolvers<string>();
    const running = bounded.run(() => gate.promise);
    let hasRun = false;
    const late = bounded.run(async () => {
      hasRun = true;
    });
    await expect(late).rejects.toMatchObject({ code: 'login_busy' });
    expect([hasRun, bounded.waiting]).toEqual([false, 0]);
    const next = bounded.run(async () => 'in time');
    gate.resolve('done');
    expect(await Promise.all([running, next])).toEqual(['done', 'in time']);
  });

  test('refuses work before it starts when the queue is full', async () => {
    const bounded = createHashQueue({ concurrency: 1, maxWaiting: 1 });
    const gate = Promise.withResolvers<void>();
    const begun: number[] = [];
    const work = (index: number) =>
      bounded.admit(async () => {
        begun.push(index);
        await gate.promise;
      });
    const [first, second] = [work(0), work(1)];
    await expect(work(2)).rejects.toMatchObject({ code: 'login_busy' });
    expect(begun).toEqual([0, 1]);
    gate.resolve();
    await Promise.all([first, second]);
    await expect(work(3)).resolves.toBeUndefined();
  });
});
