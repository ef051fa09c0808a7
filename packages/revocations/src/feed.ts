import { createOutageLog, type Logger, type OutageLog } from '@countersign/process-kit';
import { z } from 'zod';
import type { RevocationGroup, Revocations } from './revocations.ts';
import { type RevokedKind, revokedKinds } from './table.ts';

/** One batch from the feed. `complete`: it is the last one for now. Cursors are valid only within one log. */
export type RevocationBatch = Readonly<ReturnType<typeof readRevocationBatch>>;

const maxItems = 5_000;
const maxName = 256;

const place = {
  log: z.string().min(1).max(128),
  cursor: z.union([z.number(), z.string().regex(/^\d{1,15}$/)]).pipe(z.coerce.number<number | string>().int().min(0)),
  complete: z.boolean(),
};
const list = z.array(z.unknown()).max(maxItems);
const batch = z.union([z.object({ ...place, items: list }), z.object({ ...place, groups: list })]);

const instant = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text));
const common = { kind: z.enum(revokedKinds), not_before: instant, expires_at: instant };
/** One revocation. Its other members name its subject. */
const item = z.looseObject({ kind: common.kind });
/** Revocations that share a kind and times. */
const group = z.object({ ...common, ids: z.array(z.unknown()) });

/** The members of an item that name its subject, in the order of their ids in a group. */
const nameMembers: Readonly<Record<RevokedKind, readonly string[]>> = {
  session: ['sid'],
  member: ['tenant_id', 'user_id'],
  user: ['user_id'],
  client: ['tenant_id', 'client_id'],
  tenant: ['tenant_id'],
  key: ['kid'],
};

/**
 * Reads a batch from the feed. Counts and skips invalid items, so that one unknown item does not block the others.
 *
 * @param body The parsed JSON, with `items` or `groups`.
 * @throws ZodError if the body is not a batch. Error if the batch contains more than 5,000 ids.
 */
export function readRevocationBatch(body: unknown) {
  const { log, cursor, complete, ...rest } = batch.parse(body);
  const entries: RevocationGroup[] = [];
  /** How many revocations `entries` contains. */
  let count = 0;
  /** How many items had an unknown kind or shape. They are counted and logged, and otherwise ignored. */
  let unknown = 0;
  for (const raw of 'items' in rest ? rest.items.map(groupOf) : rest.groups) {
    const { data } = group.safeParse(raw);
    if (data === undefined) unknown += 1;
    else {
      const { kind, ids, not_before: notBeforeMs, expires_at: expiresAtMs } = data;
      const names = ids.filter(nameMembers[kind].length === 2 ? isPair : isName);
      entries.push({ kind, names, notBeforeMs, expiresAtMs });
      count += names.length;
      unknown += ids.length - names.length;
    }
    if (count + unknown > maxItems) throw new Error(`a batch of more than ${maxItems} revocations`);
  }
  return { log, cursor, complete, entries, count, unknown };
}

/** Turns an item into a group of one. Undefined if its kind is unknown or it names no subject. */
function groupOf(raw: unknown): unknown {
  const { data } = item.safeParse(raw);
  const ids = data && nameMembers[data.kind].map((member) => data[member]);
  return ids?.every(isName) && { ...(raw as object), ids: [ids.join(' ')] };
}

const isName = (id: unknown): id is string => typeof id === 'string' && id !== '' && id.length <= maxName;

const isPair = (id: unknown): id is string =>
  typeof id === 'string' && id.split(' ').length === 2 && id.split(' ').every(isName);

/** Where to continue, and how long the feed may wait for new entries. Without a position, reading starts over. */
export type FeedRequest = Readonly<{ position: FeedPosition | undefined; waitSec: number }>;
type FeedPosition = Readonly<{ log: string; cursor: number }>;

export type RevocationFeed = Readonly<ReturnType<typeof followRevocations>>;

export type FeedOptions = Readonly<{
  issuer: string;
  revocations: Revocations;
  fetchBatch(request: FeedRequest, signal: AbortSignal): Promise<RevocationBatch>;
  maxStalenessMs: number;
  logger: Logger;
  /** Called with the milliseconds between an entry's `not_before` and now, for each entry outside a snapshot. */
  onLag?: ((lagMs: number) => void) | undefined;
  nowMs(): number;
  /** Returns a number from 0 to 1, for jitter. */
  random(): number;
  pause(ms: number, signal: AbortSignal): Promise<void>;
}>;

type SnapshotProgress = { position: FeedPosition | undefined; entries: number; sinceMs: number; slow: OutageLog };

const longestWaitSec = 25;
// Short, so that a logout just after the auth-service recovers arrives within a second.
const firstRetryMs = 100;
const lastRetryMs = 500;
// Prevents a tight loop if the feed responds immediately without entries, or with a different log each time.
const earlyAnswerPauseMs = 200;

/**
 * Follows one issuer's revocations. First reads a snapshot and applies it as a whole, then reads more batches with
 * long polls. A log with another id, or a log that ends before our cursor, is a different log, such as a restored
 * backup. It is read from the start, and known revocations stay in effect.
 */
export function followRevocations(options: FeedOptions) {
  const { revocations, logger, issuer, nowMs } = options;
  const monotonicMs = () => performance.now();
  // A response without entries must arrive before the revocations are stale. Below 1.2 s, the feed does not wait.
  const waitSec = Math.min(longestWaitSec, Math.floor((options.maxStalenessMs * 5) / 6 / 1000));
  const stats = { answers: 0, failures: 0, snapshots: 0, unknownItems: 0 };
  const outages = createOutageLog(monotonicMs);
  const overflow = createOutageLog(monotonicMs);
  let stopping: AbortController | undefined;
  /** The snapshot that is currently being read. */
  let snapshot: SnapshotProgress | undefined;

  async function fetchBatch(request: FeedRequest, signal: AbortSignal): Promise<RevocationBatch> {
    const batch = await options.fetchBatch(request, signal);
    stats.answers += 1;
    if (batch.unknown > 0) {
      stats.unknownItems += batch.unknown;
      logger.error({ issuer, items: batch.unknown, cursor: batch.cursor }, 'ignoring revocations of an unknown kind');
    }
    return batch;
  }

  /**
   * Reads a log of any length. Stages each batch as it arrives, and `revocations` limits the memory. After a failure,
   * reading continues from the last batch, because a long log might never be read in one attempt.
   */
  async function readSnapshot(signal: AbortSignal): Promise<FeedPosition> {
    snapshot ??= { position: undefined, entries: 0, sinceMs: monotonicMs(), slow: createOutageLog(monotonicMs) };
    for (;;) {
      const { position, slow } = snapshot;
      const batch = await fetchBatch({ position, waitSec: 0 }, signal);
      if (position !== undefined && !follows(batch, position)) {
        snapshot = undefined;
        throw new Error('the log changed while it was being read');
      }
      snapshot.entries += batch.count;
      const { entries } = snapshot;
      if (batch.complete) {
        revocations.applySnapshot(batch.entries, nowMs());
        revocations.confirmCurrent(nowMs());
        stats.snapshots += 1;
        logger.info(
          { issuer, entries, took_ms: Math.round(monotonicMs() - snapshot.sinceMs), log: batch.log },
          'revocations read',
        );
        snapshot = undefined;
        return positionAfter(batch);
      }
      if (position?.cursor === batch.cursor) {
        snapshot = undefined;
        throw new Error('the log does not advance');
      }
      snapshot.position = positionAfter(batch);
      revocations.stage(batch.entries, nowMs());
      if (slow.failed(false) === 'warn') logger.warn({ issuer, entries }, 'still reading revocations');
      if (batch.count === 0) await options.pause(earlyAnswerPauseMs, signal);
    }
  }

  async function readNext(
    position: FeedPosition,
    waitSec: number,
    signal: AbortSignal,
  ): Promise<FeedPosition | undefined> {
    const askedAt = performance.now();
    const batch = await fetchBatch({ position, waitSec }, signal);
    const pauseIfEarly = async () => {
      if (performance.now() - askedAt < earlyAnswerPauseMs) await options.pause(earlyAnswerPauseMs, signal);
    };
    if (!follows(batch, position)) {
      logger.warn(
        { issuer, log: batch.log, cursor: batch.cursor },
        'the revocation log changed: reading it from the start',
      );
      await pauseIfEarly();
      return undefined;
    }
    revocations.apply(batch.entries, nowMs());
    // `not_before` is rounded up to a whole second, so an entry may arrive before it. Its lag is then 0.
    for (const entry of batch.entries) {
      const lagMs = Math.max(0, nowMs() - entry.notBeforeMs);
      for (const _name of entry.names) options.onLag?.(lagMs);
    }
    if (batch.complete) revocations.confirmCurrent(nowMs());
    if (batch.cursor === position.cursor) await pauseIfEarly();
    return positionAfter(batch);
  }

  function logOverflow(): void {
    const beforeMs = revocations.refusedBeforeMs(nowMs());
    if (beforeMs === undefined) {
      overflow.recovered();
      return;
    }
    if (overflow.failed(true) === undefined) return;
    logger.error(
      {
        issuer,
        alarm: 'too_many_revocations',
        held: revocations.size,
        refused_before: new Date(beforeMs).toISOString(),
      },
      'memory cannot hold all revocations: refusing every older token from this issuer',
    );
  }

  async function follow(signal: AbortSignal): Promise<void> {
    let position: FeedPosition | undefined;
    let failuresInARow = 0;
    while (!signal.aborted) {
      try {
        // After a failure, it does not long-poll, because any response proves that the revocations are current.
        const wait = failuresInARow > 0 ? 0 : waitSec;
        position = position === undefined ? await readSnapshot(signal) : await readNext(position, wait, signal);
        logOverflow();
        if (failuresInARow > 0) logger.info({ issuer, failures: failuresInARow }, 'revocation feed is available again');
        failuresInARow = 0;
        outages.recovered();
      } catch (error) {
        if (signal.aborted) return;
        failuresInARow += 1;
        stats.failures += 1;
        const level = outages.failed(revocations.ready);
        // The auth-service may still be starting, so this logs the reason without a stack.
        if (level === 'info') logger.info({ issuer, reason: reasonOf(error) }, 'revocation feed cannot be read yet');
        else if (level === 'warn')
          logger.warn({ issuer, err: error, failures: failuresInARow }, 'revocation feed cannot be read');
        const backoffMs = Math.min(lastRetryMs, firstRetryMs * 2 ** (failuresInARow - 1));
        await options.pause(backoffMs * (0.5 + options.random() / 2), signal);
      }
    }
  }

  return {
    start(): void {
      if (stopping !== undefined) return;
      stopping = new AbortController();
      void follow(stopping.signal);
    },
    stop(): void {
      stopping?.abort();
    },
    stats: stats as Readonly<typeof stats>,
  };
}

const reasonOf = (error: unknown): string =>
  (error as NodeJS.ErrnoException).code ?? (error instanceof Error ? error.message : String(error));

const positionAfter = (batch: RevocationBatch): FeedPosition => ({ log: batch.log, cursor: batch.cursor });

const follows = (batch: RevocationBatch, position: FeedPosition): boolean =>
  batch.log === position.log && batch.cursor >= position.cursor;
