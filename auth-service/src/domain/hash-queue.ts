import { AppError } from '../errors.ts';

export type HashQueue = Readonly<{
  /** @throws AppError `login_busy` when as many wait as may. */
  run<T>(work: () => Promise<T>): Promise<T>;
  readonly waiting: number;
}>;

/**
 * Lets a few hashes run at a time and a bounded number wait. Each takes a quarter of a second of one of libuv's four
 * threads: without a bound a flood of logins would hold up everything else that uses them, and answer nobody in time.
 */
export function createHashQueue(limits: { concurrency: number; maxWaiting: number }): HashQueue {
  const waiting: (() => void)[] = [];
  let running = 0;
  return {
    get waiting() {
      return waiting.length;
    },
    async run(work) {
      if (running >= limits.concurrency) {
        if (waiting.length >= limits.maxWaiting) throw new AppError('login_busy');
        // Whoever finishes hands its place on, so `running` stays as it is.
        await new Promise<void>((resolve) => waiting.push(resolve));
      } else {
        running += 1;
      }
      try {
        return await work();
      } finally {
        const next = waiting.shift();
        if (next === undefined) running -= 1;
        else next();
      }
    },
  };
}
