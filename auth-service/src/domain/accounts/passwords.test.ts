import { describe, expect, test } from '@jest/globals';
import { parseKeyRing } from '../keys/key-ring.ts';
import { createHashQueue, createPasswords } from './passwords.ts';

const turn = { address: '192.0.2.1' };
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
    const stored = await passwords.hash(right, turn);
    expect(await passwords.verify(right, stored, turn)).toBe(true);
    expect(await passwords.verify(wrong, stored, turn)).toBe(false);
  });

  test.each([
    ['composed and combined', 'caf\u00e9', 'cafe\u0301'],
    ['full width', 'password', 'ｐａｓｓｗｏｒｄ'],
    ['Hangul', '\ud55c', '\u1112\u1161\u11ab'],
  ])('a password matches in every Unicode form: %s', async (_, one, other) => {
    const passwords = await make();
    expect(one).not.toBe(other);
    expect(await passwords.verify(other, await passwords.hash(one, turn), turn)).toBe(true);
  });

  test('no password matches for an unknown account', async () => {
    const passwords = await make();
    expect(await passwords.verify('', undefined, turn)).toBe(false);
  });

  test('a hash does not match after its pepper was removed', async () => {
    const stored = await (await make(pepper('gone', 3))).hash('correct horse', turn);
    expect(await (await make()).verify('correct horse', stored, turn)).toBe(false);
  });

  test('a hash with an older, lower cost takes as much work as an unknown account', async () => {
    const passwords = await make(pepper('a', 1), 9);
    const stored = await (await make(pepper('a', 1), 4)).hash('correct horse', turn);
    /** CPU time of all threads of this process in microseconds; other processes do not count. */
    const work = async (of: typeof stored | undefined) => {
      const before = process.cpuUsage();
      for (let round = 0; round < 8; round += 1) expect(await passwords.verify('wrong', of, turn)).toBe(false);
      return process.cpuUsage(before).user;
    };
    // Without the extra work, the ratio would be 1/32.
    expect((await work(stored)) / (await work(undefined))).toBeGreaterThan(0.5);
  });

  test('a hash is stale when its cost or pepper is outdated', async () => {
    const old = await (await make()).hash('correct horse', turn);
    const rotated = await make(`${pepper('b', 2)},${pepper('a', 1)}`);
    expect(await rotated.verify('correct horse', old, turn)).toBe(true);
    expect(rotated.isStale(old)).toBe(true);
    expect((await make(pepper('a', 1), 5)).isStale(old)).toBe(true);
    expect((await make()).isStale(old)).toBe(false);
  });
});

describe('the hash queue', () => {
  const from = (address: string) => ({ address });

  test('runs a few hashes at a time, lets addresses take turns, and refuses the rest', async () => {
    const bounded = createHashQueue({ concurrency: 2, maxWaiting: 16 });
    const gate = Promise.withResolvers<void>();
    const started: string[] = [];
    const run = (address: string) =>
      bounded.run(from(address), async () => {
        started.push(address);
        await gate.promise;
      });
    // Eight attempts for each of six addresses, and then one for another address.
    const flood = Array.from({ length: 48 }, (_, index) => run(`192.0.2.${index % 6}`));
    const mine = run('198.51.100.7');
    const settled = Promise.allSettled(flood);
    expect([started.length, bounded.waiting]).toEqual([2, 12]);
    gate.resolve();
    await mine;
    expect(started.indexOf('198.51.100.7')).toBeLessThanOrEqual(2 + 6);
    const refused = (await settled).filter(({ status }) => status === 'rejected');
    expect(refused).toHaveLength(48 - 2 - 11);
    expect(refused[0]).toMatchObject({ reason: { code: 'login_busy' } });
  });

  test('refuses a hash that has waited too long, and runs the others', async () => {
    const bounded = createHashQueue({ concurrency: 1, maxWaiting: 2, maxWaitMs: 10 });
    const gate = Promise.withResolvers<string>();
    const running = bounded.run(turn, () => gate.promise);
    let hasRun = false;
    const late = bounded.run(turn, async () => {
      hasRun = true;
    });
    await expect(late).rejects.toMatchObject({ code: 'login_busy' });
    expect([hasRun, bounded.waiting]).toEqual([false, 0]);
    const next = bounded.run(turn, async () => 'in time');
    gate.resolve('done');
    expect(await Promise.all([running, next])).toEqual(['done', 'in time']);
  });

  test('refuses work before it starts when the address has its share, and starts no hash that lost its place', async () => {
    const bounded = createHashQueue({ concurrency: 1, maxWaiting: 3 });
    const gate = Promise.withResolvers<void>();
    const begun: string[] = [];
    const work = (address: string) =>
      bounded.withPlace(from(address), async (place) => {
        await gate.promise;
        await bounded.run(place, async () => void begun.push(address));
      });
    const two = [work('192.0.2.1'), work('192.0.2.1')];
    await expect(work('192.0.2.1')).rejects.toMatchObject({ code: 'login_busy' });
    const others = [work('192.0.2.2'), work('192.0.2.3')];
    const settled = Promise.allSettled([...two, ...others]);
    gate.resolve();
    expect((await settled).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
    expect(begun).toEqual(['192.0.2.1', '192.0.2.2', '192.0.2.3']);
    await expect(work('192.0.2.1')).resolves.toBeUndefined();
  });

  test('keeps a quarter of the places and every fourth turn for known browsers, one for each account', async () => {
    const bounded = createHashQueue({ concurrency: 1, maxWaiting: 8 });
    const gate = Promise.withResolvers<void>();
    const started: string[] = [];
    const run = (name: string, keptFor?: string) =>
      bounded.run({ address: name, keptFor }, async () => {
        started.push(name);
        await gate.promise;
      });
    const flood = Array.from({ length: 20 }, (_, index) => run(`192.0.2.${index}`));
    const settled = Promise.allSettled(flood);
    const known = [run('ann', 'ann@acme.test'), run('bob', 'bob@acme.test')];
    await expect(run('ann again', 'ann@acme.test')).rejects.toMatchObject({ code: 'login_busy' });
    gate.resolve();
    await Promise.all(known);
    await settled;
    expect([started.indexOf('ann'), started.indexOf('bob')]).toEqual([4, 8]);
  });
});
