import { expect, test } from '@jest/globals';
import { TurnQueue } from './turn-queue.ts';

const queueOf = (maxWaiting: number, maxWaitMs = 60_000) =>
  new TurnQueue({ concurrency: 1, maxWaiting, maxWaitMs, refusal: (reason) => new Error(reason) });

/** Occupies the only slot. */
function busy(queue: TurnQueue): Readonly<{ end(): void; ended: Promise<void> }> {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { end: resolve, ended: queue.run({ address: 'busy' }, () => promise) };
}

test('runs one address after the other, whatever work ends in', async () => {
  const queue = queueOf(10);
  const first = busy(queue);
  const order: string[] = [];
  const all = ['a', 'a', 'a', 'b', 'c', 'b'].map((address) =>
    queue.run({ address }, async () => {
      order.push(address);
      if (order.length % 2 === 0) throw new Error('failed');
    }),
  );
  expect(queue.waiting).toBe(6);
  first.end();
  const settled = await Promise.allSettled(all);
  expect(order).toEqual(['a', 'b', 'c', 'a', 'b', 'a']);
  expect(settled.filter(({ status }) => status === 'rejected')).toHaveLength(3);
  await expect(queue.run({ address: 'a' }, async () => 'free again')).resolves.toBe('free again');
});

test('refuses work that finds no place, that makes room for another address, or that waits too long', async () => {
  const queue = queueOf(4, 10);
  const first = busy(queue);
  const outcome = (address: string) =>
    queue.run({ address }, async () => 'ran').catch((error: Error) => `${address}: ${error.message}`);
  const all = ['a', 'a', 'a', 'b', 'c', 'd'].map(outcome);
  expect(await Promise.all(all)).toEqual([
    'a: waited too long',
    'a: made room for another address',
    'a: too many are waiting',
    'b: waited too long',
    'c: waited too long',
    'd: waited too long',
  ]);
  expect(queue.waiting).toBe(0);
  first.end();
  await first.ended;
});

test('a waiter that gives up frees its place, and never runs', async () => {
  const queue = queueOf(1);
  const first = busy(queue);
  const gone = new AbortController();
  const ran: string[] = [];
  const abandoned = queue.run({ address: 'a', signal: gone.signal }, async () => void ran.push('abandoned'));
  gone.abort(new Error('disconnected'));
  await expect(abandoned).rejects.toThrow('disconnected');
  const next = queue.run({ address: 'a' }, async () => void ran.push('next'));
  first.end();
  await next;
  await expect(queue.run({ address: 'a', signal: gone.signal }, async () => {})).rejects.toThrow('disconnected');
  expect(ran).toEqual(['next']);
});
