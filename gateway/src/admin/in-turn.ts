import { setTimeout as delay } from 'node:timers/promises';
import { AppError } from '../errors.ts';

/** Lets a program request all API views at once. */
const maxWaiting = 16;
/** Limits rendering to a fifth of the time, because the same process may serve requests. */
const pausePerMs = 4;
const maxPauseMs = 250;
/** How long a refusal is delayed. Without this, a client that retries in a loop would keep the process busy. */
const slowDownMs = 50;

const pause = (ms: number): Promise<void> => delay(ms, undefined, { ref: false });

export type InTurn = <Result>(work: () => Promise<Result>) => Promise<Result>;

/** Runs one task at a time, to keep the public listener fast. Throws `console_busy` if sixteen others wait. */
export function createTurns(): InTurn {
  let last = Promise.resolve();
  let waiting = 0;
  return async (work) => {
    if (waiting === maxWaiting) {
      await pause(slowDownMs);
      throw new AppError('console_busy');
    }
    waiting += 1;
    const before = last;
    const { promise, resolve } = Promise.withResolvers<void>();
    last = promise;
    await before;
    waiting -= 1;
    const startedAt = performance.now();
    try {
      return await work();
    } finally {
      void pause(Math.min(maxPauseMs, (performance.now() - startedAt) * pausePerMs)).then(resolve);
    }
  };
}
