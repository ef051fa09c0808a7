import { type FeedBatch, type FeedForm, readFeed, revocationsChannel } from '../../store/sessions/revocations.ts';
import type { AuthDatabase } from '../../store/transaction.ts';

type FeedPosition = Readonly<{ log: string | undefined; after: number; form?: FeedForm | undefined }>;

export type Feed = Awaited<ReturnType<typeof openFeed>>;

/** Serves the revocation log to gateways. */
export async function openFeed(db: AuthDatabase) {
  const waiters = new Set<() => void>();
  const reads = new Map<string, Promise<FeedBatch>>();
  const wakeAll = () => {
    // A read that began before this notification may miss the new entry.
    reads.clear();
    for (const wake of [...waiters]) wake();
  };
  let ended = false;
  let stopped: Promise<void> | undefined;
  // Also runs after a reconnect, because notifications may have been missed.
  const stopListening = await db.listen(revocationsChannel, wakeAll);

  /**
   * Shares each read among the followers at the same position. One entry wakes all of them, and a thousand transactions
   * at once would leave no connection for a logout.
   */
  function read({ log, after, form }: FeedPosition): Promise<FeedBatch> {
    const key = JSON.stringify([log, after, form]);
    const shared = reads.get(key);
    if (shared !== undefined) return shared;
    const started = readFeed(db, { log, after }, form).finally(() => {
      if (reads.get(key) === started) reads.delete(key);
    });
    reads.set(key, started);
    return started;
  }

  /** Registers before the read, so that an entry written before the wait still ends the wait. */
  function wakeUp(waitMs: number, signal: AbortSignal) {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, waitMs);
    waiters.add(resolve);
    const abort = () => resolve();
    signal.addEventListener('abort', abort, { once: true });
    const release = () => {
      clearTimeout(timer);
      waiters.delete(resolve);
      signal.removeEventListener('abort', abort);
    };
    return { promise, release };
  }

  return {
    get ended() {
      return ended;
    },
    /** Returns the next batch. If nothing is new, waits until `waitMs` have passed or `signal` aborts. */
    async next(
      { log, after, form, waitMs }: FeedPosition & Readonly<{ waitMs: number }>,
      signal: AbortSignal,
    ): Promise<FeedBatch> {
      const deadline = performance.now() + waitMs;
      for (;;) {
        const wake = wakeUp(Math.max(0, deadline - performance.now()), signal);
        try {
          const batch = await read({ log, after, form });
          const isNews = batch.items.length > 0 || batch.groups.length > 0 || batch.fromStart;
          if (isNews || ended || signal.aborted || performance.now() >= deadline) return batch;
          await wake.promise;
        } finally {
          wake.release();
        }
      }
    },
    /** Makes waiting and later requests respond immediately. Can be called repeatedly. */
    async end(): Promise<void> {
      ended = true;
      wakeAll();
      stopped ??= stopListening();
      await stopped;
    },
  };
}
