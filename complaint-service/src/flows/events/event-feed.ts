import { type BackgroundLoop, startBackgroundLoop } from '@countersign/process-kit';
import { isStaff, seesEvent } from '../../domain/access.ts';
import { AppError } from '../../errors.ts';
import { asFeed, eventsChannel, type FeedEvent, findEvents, lastSeq, listEvents } from '../../store/events.ts';
import type { ComplaintsDatabase, ScopeUser, Trx } from '../../store/schema.ts';
import type { ComplaintEvent } from '../../store/tables.ts';

type Following = Readonly<{
  /** The last event that the caller has seen. If undefined, the feed starts with the next event. */
  lastId: string | undefined;
  signal: AbortSignal;
  /** Called after each `quietMs` without a batch, even while the database is unreachable. */
  onQuiet: () => void;
}>;

export type EventFeed = Awaited<ReturnType<typeof openEventFeed>>;

type Follower = {
  readonly user: ScopeUser;
  readonly lastId: string | undefined;
  /** `joining` until a read finds its position, `live` if it has all events so far, or else the last event it has. */
  position: 'joining' | 'live' | number;
  hasMissed: boolean;
  /** Visible events that the caller has not taken. */
  events: FeedEvent[];
  /** Continues the caller, if it waits. */
  wake: () => void;
  failure?: unknown;
};

type Tenant = { readonly followers: Set<Follower>; lastSeq: number | undefined; readonly loop: BackgroundLoop };

/** The events of a read, and what a caller that reads slowly can have in memory. */
const batchSize = 250;
const retryMs = 1_000;
/** How soon a response must start, because `EventSource` gives up on any status other than 200. */
const openWithinMs = 2_000;

/**
 * Reads the events of each tenant once for all of its followers, and gives each follower those that it can see.
 *
 * @param db Followers wait for its connections, so requests should use others.
 * @param quietMs Must be shorter than the idle timeout of any proxy.
 */
export async function openEventFeed(db: ComplaintsDatabase, quietMs = 15_000) {
  const tenants = new Map<string, Tenant>();
  const ending = new AbortController();
  // A reconnect calls this without a tenant, because notifications may have been missed.
  const stopListening = await db.listen(eventsChannel, (tenantId) => {
    const woken = tenantId === undefined ? [...tenants.values()] : [tenants.get(tenantId)];
    for (const tenant of woken) tenant?.loop.wake();
  });

  function open(tenantId: string): Tenant {
    const tenant: Tenant = {
      followers: new Set(),
      lastSeq: undefined,
      loop: startBackgroundLoop({
        async run() {
          const isDone = await asFeed(db, tenantId, (trx) => readOnce(trx, tenant));
          // Reads again after a while, in case a notification was lost.
          return isDone ? quietMs : 0;
        },
        onError(error) {
          if ((error as { code?: unknown }).code === 'unavailable') return;
          for (const follower of tenant.followers) {
            follower.failure = error;
            follower.wake();
          }
        },
        afterFailureMs: retryMs,
      }),
    };
    tenants.set(tenantId, tenant);
    return tenant;
  }

  return {
    /**
     * Yields batches of events that this user can see. A slow caller has at most one batch in memory: further events are
     * read again later. The first batch is empty, or `missed` if the feed cannot resume at the caller's position. The
     * response can then start. While the database is unreachable, the feed waits, and later continues without a gap. Ends
     * when `signal` aborts or the feed ends.
     */
    async *follow(
      user: ScopeUser,
      { lastId, signal, onQuiet }: Following,
    ): AsyncGenerator<ComplaintEvent[] | 'missed'> {
      const stop = AbortSignal.any([signal, ending.signal]);
      const tenant = tenants.get(user.tenantId) ?? open(user.tenantId);
      const follower: Follower = { user, lastId, position: 'joining', hasMissed: false, events: [], wake: () => {} };
      const change = async () => {
        if (!stop.aborted) await new Promise<void>((resolve) => Object.assign(follower, { wake: resolve }));
        if (follower.failure !== undefined) throw follower.failure;
      };
      tenant.followers.add(follower);
      tenant.loop.wake();
      stop.addEventListener('abort', () => follower.wake());
      const quiet = setInterval(onQuiet, quietMs);
      const late = setTimeout(() => follower.wake(), openWithinMs);
      try {
        await change();
        const isLate = follower.position === 'joining';
        if (isLate) yield [];
        while (follower.position === 'joining' && !stop.aborted) await change();
        // A caller whose response started before its position was known may have missed events.
        yield follower.hasMissed || (isLate && lastId === undefined) ? 'missed' : [];
        while (!stop.aborted) {
          const { events } = follower;
          if (events.length > 0) {
            follower.events = [];
            yield events;
            quiet.refresh();
          } else {
            if (follower.position !== 'live') tenant.loop.wake();
            await change();
          }
        }
      } finally {
        clearInterval(quiet);
        clearTimeout(late);
        tenant.followers.delete(follower);
        if (tenant.followers.size === 0 && tenants.delete(user.tenantId)) void tenant.loop.stop();
      }
    },
    async end() {
      const loops = Array.from(tenants.values(), ({ loop }) => loop);
      ending.abort();
      await stopListening();
      await Promise.all(loops.map(({ stop }) => stop()));
    },
  };
}

/** Reads what the tenant's followers need, in a few queries for all of them. @returns Whether they have everything. */
async function readOnce(trx: Trx, tenant: Tenant): Promise<boolean> {
  const joining = [...tenant.followers].filter(({ position }) => position === 'joining');
  const lastIds = joining.flatMap(({ lastId }) => lastId ?? []);
  const found = new Map((lastIds.length === 0 ? [] : await findEvents(trx, lastIds)).map((event) => [event.id, event]));
  await readNew(trx, tenant);
  for (const follower of joining) {
    const last = found.get(follower.lastId ?? '');
    const isSeen = last !== undefined && seesEvent(follower.user, last);
    follower.position = isSeen ? last.seq : 'live';
    follower.hasMissed = !isSeen && follower.lastId !== undefined;
    follower.wake();
  }
  for (const staff of [true, false]) await readMissed(trx, tenant, staff);
  return behind(tenant).length === 0;
}

async function readNew(trx: Trx, tenant: Tenant): Promise<void> {
  tenant.lastSeq ??= await lastSeq(trx);
  for (let count = batchSize; count === batchSize; ) {
    const page = await listEvents(trx, { after: tenant.lastSeq, limit: batchSize });
    count = page.length;
    tenant.lastSeq = page.at(-1)?.seq ?? tenant.lastSeq;
    for (const follower of tenant.followers) if (follower.position === 'live') give(follower, page, 'live');
  }
}

/** The followers that wait for a read of events before the tenant's last one. */
const behind = ({ followers }: Tenant) =>
  [...followers].filter(({ position, events }) => typeof position === 'number' && events.length === 0);

/** Reads one page for all agents and admins that are behind, or for all complainants. */
async function readMissed(trx: Trx, tenant: Tenant, staff: boolean): Promise<void> {
  const group = behind(tenant).filter(({ user }) => isStaff(user) === staff);
  if (group.length === 0) return;
  const after = Math.min(...group.map(({ position }) => Number(position)));
  const complainants = staff ? undefined : [...new Set(group.map(({ user }) => user.userId))];
  const page = await listEvents(trx, { after, upTo: tenant.lastSeq, complainants, limit: batchSize });
  const end = page.length === batchSize ? (page.at(-1)?.seq ?? after) : 'live';
  for (const follower of group) if (end === 'live' || Number(follower.position) < end) give(follower, page, end);
}

/** Gives a follower up to a batch of the events that it has not and can see. The page is complete up to `end`. */
function give(follower: Follower, page: readonly FeedEvent[], end: Follower['position']): void {
  const { user, events, position } = follower;
  const after = typeof position === 'number' ? position : 0;
  follower.position = end;
  for (const event of page) {
    if (event.seq <= after || !seesEvent(user, event)) continue;
    if (events.length === batchSize) {
      follower.position = events.at(-1)?.seq ?? after;
      break;
    }
    events.push(event);
  }
  if (events.length > 0) follower.wake();
}

/** The maximum per user and instance, enough for several browser tabs and devices. */
export const maxStreamsPerUser = 10;

/** Counts each user's open streams, both SSE and WebSocket. */
export class OpenStreams {
  readonly #byUser = new Map<string, number>();

  /** @returns A function that ends the stream. @throws AppError `too_many_streams` */
  open({ tenantId, userId }: Readonly<{ tenantId: string; userId: string }>): () => void {
    const key = JSON.stringify([tenantId, userId]);
    const open = this.#byUser.get(key) ?? 0;
    if (open >= maxStreamsPerUser) throw new AppError('too_many_streams');
    this.#byUser.set(key, open + 1);
    return () => {
      const left = (this.#byUser.get(key) ?? 1) - 1;
      if (left === 0) this.#byUser.delete(key);
      else this.#byUser.set(key, left);
    };
  }
}
