import { eventsChannel, listEvents, positionAfter } from '../../store/events/events.ts';
import type { ComplaintEvent } from '../../store/schema/events.ts';
import { asUser, type ComplaintsDatabase, type ScopeUser } from '../../store/scope.ts';

/** Events as they happen, for the users who may see them. */
export type EventFeed = Readonly<{
  /**
   * Yields the events that this user may see, one batch at a time, and an empty batch at the start and after `quietMs`
   * without one. The next batch is read when it is asked for, so a slow client holds no events in memory. Ends with `signal`
   * or the feed.
   *
   * @param lastId The last event that the client has seen. `missed` comes first when the feed cannot continue after it.
   */
  follow(user: ScopeUser, lastId: string | undefined, signal: AbortSignal): AsyncGenerator<ComplaintEvent[] | 'missed'>;
  /** Ends all followers, and stops listening. */
  end(): Promise<void>;
}>;

const batchSize = 100;

/** @param quietMs Shorter than any proxy on the way closes a silent connection. */
export async function openEventFeed(db: ComplaintsDatabase, quietMs = 15_000): Promise<EventFeed> {
  const waiters = new Map<string, Set<() => void>>();
  const reads = new Map<string, Promise<ComplaintEvent[]>>();
  let ended = false;
  let notified = 0;
  const wake = (tenants: Iterable<Set<() => void>>) => {
    for (const each of tenants) for (const resolve of [...each]) resolve();
  };
  // Without a tenant after a lost connection was made again, when notifications may have been missed.
  const stopListening = await db.listen(eventsChannel, (tenantId) => {
    notified += 1;
    const waiting = tenantId === undefined ? undefined : waiters.get(tenantId);
    wake(tenantId === undefined ? waiters.values() : waiting === undefined ? [] : [waiting]);
  });

  /** Registers before the read, so that an event committed between read and wait still wakes the follower. */
  function nextNews(tenantId: string, waitMs: number, signal: AbortSignal) {
    const { promise, resolve } = Promise.withResolvers<'news' | 'quiet'>();
    const notify = () => resolve('news');
    const waiting = waiters.get(tenantId) ?? new Set();
    waiters.set(tenantId, waiting.add(notify));
    const timer = setTimeout(() => resolve('quiet'), Math.max(0, waitMs));
    signal.addEventListener('abort', notify, { once: true });
    const release = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', notify);
      waiting.delete(notify);
      if (waiting.size === 0 && waiters.get(tenantId) === waiting) waiters.delete(tenantId);
    };
    return { promise, release };
  }

  /**
   * Reads as the user: row-level security decides about each event. Followers who may see the same share one read, so an
   * event costs one query for all agents of a tenant. A read that began before the last notification is not shared: it
   * may have missed what was notified.
   */
  function read(user: ScopeUser, after: number): Promise<ComplaintEvent[]> {
    const seesAll = user.role === 'agent' || user.role === 'admin';
    const key = JSON.stringify([user.tenantId, user.role, seesAll ? null : user.userId, after, notified]);
    const shared = reads.get(key);
    if (shared !== undefined) return shared;
    const started = asUser(db, user, (trx) => listEvents(trx, after, batchSize)).finally(() => reads.delete(key));
    reads.set(key, started);
    return started;
  }

  return {
    async *follow(user, lastId, signal) {
      const start = await asUser(db, user, (trx) => positionAfter(trx, lastId));
      yield start.missed ? 'missed' : [];
      let { seq } = start;
      let quietAtMs = performance.now() + quietMs;
      while (!ended && !signal.aborted) {
        const news = nextNews(user.tenantId, quietAtMs - performance.now(), signal);
        try {
          const events = await read(user, seq);
          const isQuiet = events.length === 0 && (await news.promise) === 'quiet';
          seq = events.at(-1)?.seq ?? seq;
          // Without an event after a wake-up, another user may see it: this one must not learn even that.
          if (signal.aborted || (!isQuiet && events.length === 0)) continue;
          yield events;
          quietAtMs = performance.now() + quietMs;
        } finally {
          news.release();
        }
      }
    },
    async end() {
      ended = true;
      wake(waiters.values());
      await stopListening();
    },
  };
}
