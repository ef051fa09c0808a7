import { setTimeout as delay } from 'node:timers/promises';
import { isStaff } from '../../domain/access.ts';
import { type EventPosition, eventsChannel, listEvents, positionAfter } from '../../store/events/events.ts';
import type { ComplaintEvent } from '../../store/schema/deliveries.ts';
import { asUser, type ComplaintsDatabase, type ScopeUser } from '../../store/scope.ts';

export type Following = Readonly<{
  /** The last event that the caller has seen. If undefined, the feed starts with the next event. */
  lastId: string | undefined;
  signal: AbortSignal;
  /** Called after each `quietMs` without a batch, even while the database is unreachable. */
  onQuiet: () => void;
}>;

/** A feed of new events. */
export type EventFeed = Readonly<{
  /**
   * Yields batches of events that this user can see. Reads each batch on demand, so a slow caller holds no events in
   * memory. The first batch is empty, or `missed` if the feed cannot resume at the caller's position. The response can
   * then start. While the database is unreachable, the feed waits, and later continues without a gap. Ends when
   * `signal` aborts or the feed ends.
   */
  follow(user: ScopeUser, following: Following): AsyncGenerator<ComplaintEvent[] | 'missed'>;
  /** Ends all feeds, and stops listening. */
  end(): Promise<void>;
}>;

const batchSize = 100;
const retryMs = 1_000;
/** How soon a response must start, because `EventSource` gives up on any status other than 200. */
const openWithinMs = 2_000;

/** @param quietMs Must be shorter than the idle timeout of any proxy. */
export async function openEventFeed(db: ComplaintsDatabase, quietMs = 15_000): Promise<EventFeed> {
  const waiters = new Map<string, Set<() => void>>();
  const reads = new Map<string, Promise<ComplaintEvent[]>>();
  const ending = new AbortController();
  let notified = 0;
  // A reconnect calls this without a tenant, because notifications may have been missed.
  const stopListening = await db.listen(eventsChannel, (tenantId) => {
    notified += 1;
    const woken = tenantId === undefined ? [...waiters.values()] : [waiters.get(tenantId) ?? []];
    for (const resolve of woken.flatMap((each) => [...each])) resolve();
  });

  /**
   * Resolves on the next notification, or after `quietMs` in case one was lost. Call this before the read, so that an
   * event committed meanwhile still wakes the follower.
   */
  function nextEvents(tenantId: string, stop: AbortSignal) {
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting = waiters.get(tenantId) ?? new Set();
    waiters.set(tenantId, waiting.add(resolve));
    const timer = setTimeout(resolve, quietMs);
    const abort = () => resolve();
    stop.addEventListener('abort', abort, { once: true });
    const release = () => {
      clearTimeout(timer);
      stop.removeEventListener('abort', abort);
      waiting.delete(resolve);
      if (waiting.size === 0 && waiters.get(tenantId) === waiting) waiters.delete(tenantId);
    };
    return { promise, release };
  }

  /**
   * Reads as the user, so that row-level security decides about each event. Followers with the same access share a
   * read, so an event costs one query for all agents of a tenant. A read that began before the last notification is not
   * shared, because it may have missed the new event.
   */
  function read(user: ScopeUser, after: number): Promise<ComplaintEvent[]> {
    const key = JSON.stringify([user.tenantId, user.role, isStaff(user) ? null : user.userId, after, notified]);
    const shared = reads.get(key);
    if (shared !== undefined) return shared;
    const started = asUser(db, user, (trx) => listEvents(trx, after, batchSize)).finally(() => reads.delete(key));
    reads.set(key, started);
    return started;
  }

  async function place(user: ScopeUser, lastId: string | undefined, stop: AbortSignal): Promise<EventPosition> {
    while (!stop.aborted) {
      const found = await unlessUnavailable(
        asUser(db, user, (trx) => positionAfter(trx, lastId)),
        stop,
      );
      if (found !== undefined) return found;
    }
    return { seq: 0, missed: false };
  }

  async function* start(user: ScopeUser, lastId: string | undefined, stop: AbortSignal) {
    const placing = place(user, lastId, stop);
    placing.catch(() => {});
    const inTime = await Promise.race([placing, delay(openWithinMs, undefined, { ref: false })]);
    if (inTime === undefined) yield [];
    const { seq, missed } = inTime ?? (await placing);
    // A caller whose response started before its position was known may have missed events.
    yield missed || (inTime === undefined && lastId === undefined) ? ('missed' as const) : [];
    return seq;
  }

  return {
    async *follow(user, { lastId, signal, onQuiet }) {
      const stop = AbortSignal.any([signal, ending.signal]);
      const quiet = setInterval(onQuiet, quietMs);
      try {
        let seq = yield* start(user, lastId, stop);
        while (!stop.aborted) {
          const next = nextEvents(user.tenantId, stop);
          try {
            const events = await unlessUnavailable(read(user, seq), stop);
            // A notification without a visible event was for other users. This user must not learn of it.
            if (events?.length === 0) await next.promise;
            if (events === undefined || events.length === 0 || stop.aborted) continue;
            seq = events.at(-1)?.seq ?? seq;
            yield events;
            quiet.refresh();
          } finally {
            next.release();
          }
        }
      } finally {
        clearInterval(quiet);
      }
    },
    async end() {
      ending.abort();
      await stopListening();
    },
  };
}

/** Returns undefined, after a pause, when the database cannot be reached. */
async function unlessUnavailable<T>(work: Promise<T>, stop: AbortSignal): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'unavailable') throw error;
    await delay(retryMs, undefined, { signal: stop }).catch(() => {});
    return undefined;
  }
}
