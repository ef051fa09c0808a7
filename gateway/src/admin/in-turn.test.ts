import { eventually } from '@countersign/testing';
import { expect, test } from '@jest/globals';
import { createTurns } from './in-turn.ts';

test('runs tasks one at a time in order, and refuses more than sixteen waiting tasks', async () => {
  const inTurn = createTurns();
  const { promise: mayEnd, resolve: end } = Promise.withResolvers<void>();
  const order: string[] = [];
  const work = (name: string) =>
    inTurn(async () => {
      order.push(`${name} begins`);
      await mayEnd;
      order.push(`${name} ends`);
      return name;
    });
  const first = work('0');
  await eventually(() => expect(order).toEqual(['0 begins']));
  const waiting = Array.from({ length: 16 }, (_, at) => work(String(at + 1)));
  await expect(work('17')).rejects.toEqual(expect.objectContaining({ code: 'console_busy' }));
  end();
  const names = Array.from({ length: 17 }, (_, at) => String(at));
  expect(await Promise.all([first, ...waiting])).toEqual(names);
  expect(order).toEqual(names.flatMap((name) => [`${name} begins`, `${name} ends`]));
  expect(await work('again')).toBe('again');
});
