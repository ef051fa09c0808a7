import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { createSlots, type Slots } from './slots.ts';

const limits = { atOnce: 2, maxWaiting: 16, maxWaitMs: 10_000, perUser: 2, perTenant: 4 };
const turnOf = (tenantId: string, userId: string, signal = new AbortController().signal) => ({
  tenantId,
  userId,
  signal,
});

let slots: Slots;
let started: string[];
let finish: Map<string, () => void>;
beforeEach(() => {
  slots = createSlots(limits);
  started = [];
  finish = new Map();
});
afterEach(() => {
  jest.useRealTimers();
});

/** Work that runs until the test completes it. */
function run(name: string, turn: ReturnType<typeof turnOf>): Promise<void> {
  return slots(turn, () => {
    started.push(name);
    return new Promise<void>((resolve) => finish.set(name, resolve));
  });
}

/** Waits until every settled promise has run its callbacks. */
const settled = () => new Promise(setImmediate);

describe('an encoder slot', () => {
  test('a slot remains free for another tenant when one user sends many images', async () => {
    const many = Array.from({ length: 18 }, (_, at) => run(`a${at}`, turnOf('acme', 'ann')));
    const refused = many.slice(2).map((each) => expect(each).rejects.toMatchObject({ code: 'attachments_busy' }));
    const other = run('other', turnOf('globex', 'bob'));
    await Promise.all(refused);
    expect(started).toEqual(['a0', 'other']);
    finish.get('a0')?.();
    await settled();
    expect(started).toEqual(['a0', 'other', 'a1']);
    finish.get('a1')?.();
    finish.get('other')?.();
    await Promise.all([...many.slice(0, 2), other]);
  });

  test('a slot goes first to a tenant without running work, and a tenant can have four images running or waiting', async () => {
    const ofAcme = ['ann', 'ben', 'cem', 'dan'].map((user) => run(user, turnOf('acme', user)));
    await expect(run('eva', turnOf('acme', 'eva'))).rejects.toMatchObject({ code: 'attachments_busy' });
    // The same id in another tenant is another user.
    const other = run('other', turnOf('globex', 'ann'));
    await settled();
    expect(started).toEqual(['ann', 'ben']);
    finish.get('ann')?.();
    await settled();
    expect(started).toEqual(['ann', 'ben', 'other']);
    for (const name of ['ben', 'other', 'cem', 'dan']) {
      finish.get(name)?.();
      await settled();
    }
    await Promise.all([...ofAcme, other]);
  });

  test('a user with the same id in another tenant has a limit of their own', async () => {
    const both = ['acme', 'globex'].flatMap((tenant) =>
      [1, 2].map((at) => run(`${tenant} ${at}`, turnOf(tenant, 'ann'))),
    );
    for (const tenant of ['acme', 'globex']) {
      await expect(run('more', turnOf(tenant, 'ann'))).rejects.toMatchObject({ code: 'attachments_busy' });
    }
    for (const name of ['acme 1', 'globex 1', 'acme 2', 'globex 2']) {
      finish.get(name)?.();
      await settled();
    }
    await Promise.all(both);
    expect(started).toEqual(['acme 1', 'globex 1', 'acme 2', 'globex 2']);
  });

  test('work that has waited too long is refused', async () => {
    jest.useFakeTimers();
    const running = run('first', turnOf('acme', 'ann'));
    const late = expect(run('second', turnOf('acme', 'ann'))).rejects.toMatchObject({ code: 'attachments_busy' });
    await jest.advanceTimersByTimeAsync(limits.maxWaitMs);
    await late;
    finish.get('first')?.();
    await running;
    expect(started).toEqual(['first']);
  });

  test('a client that has disconnected takes no slot', async () => {
    const client = new AbortController();
    const running = run('first', turnOf('acme', 'ann'));
    const gone = expect(run('second', turnOf('acme', 'ann', client.signal))).rejects.toThrow('closed');
    client.abort(new Error('closed'));
    await gone;
    const next = run('third', turnOf('acme', 'ann'));
    finish.get('first')?.();
    await settled();
    expect(started).toEqual(['first', 'third']);
    finish.get('third')?.();
    await Promise.all([running, next]);
  });
});
