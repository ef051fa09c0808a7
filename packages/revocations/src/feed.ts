import { createOutageLog, type Logger, type OutageLog } from '@countersign/service-kit';
import type { RevocationBatch } from './revocation-batch.ts';
import type { Revocations } from './revocations.ts';

/**
 * Where to continue reading, and how long the feed may wait for new entries. Without a position, reading starts over.
 */
export type FeedRequest = Readonly<{ position: FeedPosition | undefined; waitSec: number }>;
export type FeedPosition = Readonly<{ log: string; cursor: number }>;

export type RevocationFeed = Readonly<ReturnType<typeof followRevocations>>;

export type FeedOptions = Readonly<{
  issuer: string;
  revocations: Revocations;
  fetchBatch(request: FeedRequest, signal: AbortSignal): Promise<RevocationBatch>;
  maxStalenessMs: number;
  logger: Logger;
  /**
   * Called with the milliseconds between an entry's `not_before` and now, for each entry outside a snapshot.
   */
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
  // A response without entries must arrive before the revocations become stale. Below 1.2 s, the feed does not wait at
  // all.
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
