import { AppError } from '../../errors.ts';

export type HashQueue = Readonly<{
  /**
   * Runs work that will come to a hash, and refuses it before it did anything when there will be no place: what is refused
   * must cost next to nothing, or a flood is felt by everybody all the same.
   *
   * @throws AppError `login_busy` when as many are under way as may run and wait.
   */
  admit<T>(work: () => Promise<T>): Promise<T>;
  /** @throws AppError `login_busy` when as many wait as may, or this one waited for `maxWaitMs`. */
  run<T>(work: () => Promise<T>): Promise<T>;
  readonly waiting: number;
}>;

/**
 * Lets a few hashes run at a time and a bounded number wait, for a bounded time (8 s by default, half of what the gateway waits). Each takes a quarter of a second of one of libuv's four
 * threads: without a bound a flood of logins would hold up everything else that uses them, and answer nobody in time.
 */
export function createHashQueue(
  limits: Readonly<{ concurrency: number; maxWaiting: number; maxWaitMs?: number }>,
): HashQueue {
  const { maxWaitMs = 8_000 } = limits;
  const waiting: (() => void)[] = [];
  let running = 0;
  let admitted = 0;

  /** Beyond `maxWaitMs` the client's own patience is nearly over, and a hash that nobody waits for delays the others. */
  function turn(): Promise<void> {
    return new Promise((resolve, reject) => {
      const begin = () => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        waiting.splice(waiting.indexOf(begin), 1);
        reject(new AppError('login_busy'));
      }, maxWaitMs);
      waiting.push(begin);
    });
  }

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
        await turn();
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
