import { AppError } from '../errors.ts';

export type HashQueue = Readonly<{
  /**
   * Runs work that will come to a hash, and refuses it before it did anything when there will be no place: what is refused
   * must cost next to nothing, or a flood is felt by everybody all the same.
   *
   * @throws AppError `login_busy` when as many are under way as may run and wait.
   */
  admit<T>(work: () => Promise<T>): Promise<T>;
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
  let admitted = 0;
  return {
    get waiting() {
      return waiting.length;
    },
    async admit(work) {
      if (admitted >= limits.concurrency + limits.maxWaiting) throw new AppError('login_busy');
      admitted += 1;
      try {
        return await work();
      } finally {
        admitted -= 1;
      }
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
