import { AppError } from '../../errors.ts';

export type HashQueue = Readonly<{
  /**
   * Runs work that includes a hash. Refuses the work immediately if the queue is full, so that a flood costs almost
   * nothing and does not slow down other requests.
   *
   * @throws AppError `login_busy` if too much work is already running or waiting.
   */
  admit<T>(work: () => Promise<T>): Promise<T>;
  /** @throws AppError `login_busy` if the queue is full, or this hash has waited for `maxWaitMs`. */
  run<T>(work: () => Promise<T>): Promise<T>;
  readonly waiting: number;
}>;

/**
 * Runs a few hashes at a time. A limited number can wait for a limited time: 8 s by default, half of the gateway's
 * timeout. Each hash occupies one of libuv's four threads for a quarter of a second. Without limits, a flood of logins
 * would block all other users of those threads, and every login would time out.
 */
export function createHashQueue(
  limits: Readonly<{ concurrency: number; maxWaiting: number; maxWaitMs?: number }>,
): HashQueue {
  const { maxWaitMs = 8_000 } = limits;
  const waiting: (() => void)[] = [];
  let running = 0;
  let admitted = 0;

  /** After `maxWaitMs` the request is about to time out, so its hash would only delay others. */
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
        // The finished hash passes its slot to this one, so `running` does not change.
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
