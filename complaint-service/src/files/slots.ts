import { AppError } from '../errors.ts';

/** Runs work in turn. @throws AppError `attachments_busy` when too much is waiting already. */
export type Slots = <T>(work: () => Promise<T>) => Promise<T>;

/**
 * Bounds how much work runs and waits at the same time. Decoding an image takes one of libuv's four threads and up to 200
 * MB for a moment: without a bound, a few uploads could stop a whole instance.
 */
export function createSlots({ atOnce, maxWaiting }: Readonly<{ atOnce: number; maxWaiting: number }>): Slots {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (work) => {
    if (running >= atOnce) {
      if (waiting.length >= maxWaiting) throw new AppError('attachments_busy');
      await new Promise<void>((resolve) => waiting.push(resolve));
    } else {
      running += 1;
    }
    try {
      return await work();
    } finally {
      // The place goes to the next in line, so `running` stays the same.
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
}
