import { silentLogger } from '@countersign/testing';
import { expect, test } from '@jest/globals';
import { type Attempts, withFallback } from './attempts.ts';

const counting = (work: () => Promise<void>) => {
  let asked = 0;
  const store: Attempts = {
    async add(limits) {
      asked += 1;
      await work();
      return limits.map(() => ({ count: asked, resetsInSec: 60 }));
    },
    takeBack: work,
    clear: work,
  };
  return { store, asked: () => asked };
};

test('skips a failing first store for a second, then probes it with one operation, and uses it again once it responds', async () => {
  let now = 0;
  let works = false;
  const first = counting(async () => {
    if (!works) throw new Error('gone');
  });
  const second = counting(async () => {});
  const either = withFallback(first.store, second.store, silentLogger(), () => now);
  const add = (times: number) => Promise.all(Array.from({ length: times }, () => either.add([])));

  await add(1);
  await add(20);
  expect([first.asked(), second.asked()]).toEqual([1, 21]);
  now = 1_000;
  await add(20);
  expect([first.asked(), second.asked()]).toEqual([2, 41]);
  now = 2_000;
  works = true;
  await add(1);
  await add(20);
  expect([first.asked(), second.asked()]).toEqual([23, 41]);
});
