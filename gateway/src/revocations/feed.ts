import type { Logger } from '@countersign/service-kit';
import { createOutageLog, type OutageLog } from '../http/outage-log.ts';
import type { RevocationPage } from './page.ts';
import type { Revocations } from './revocations.ts';

/** Where to go on reading, and how long the answer may wait for news. Without a position: from the start. */
export type FeedQuestion = Readonly<{ position: FeedPosition | undefined; waitSec: number }>;
export type FeedPosition = Readonly<{ log: string; cursor: number }>;

export type RevocationFeed = Readonly<{
  start(): void;
  stop(): void;
  readonly stats: Readonly<{ answers: number; failures: number; snapshots: number; unknownItems: number }>;
}>;

export type FeedOptions = Readonly<{
  issuer: string;
  revocations: Revocations;
  /** Asks the auth-service. */
  ask(question: FeedQuestion, signal: AbortSignal): Promise<RevocationPage>;
  maxStalenessMs: number;
  logger: Logger;
  /** Told of each entry how many milliseconds after its `not_before` it came into force here. Not of a snapshot's. */
  onLag?: ((lagMs: number) => void) | undefined;
  nowMs(): number;
  /** Between 0 and 1. */
  random(): number;
  pause(ms: number, signal: AbortSignal): Promise<void>;
}>;

type Reading = { position: FeedPosition | undefined; entries: number; sinceMs: number; slow: OutageLog };

const longestWaitSec = 25;
// Short, since a logout that is answered just after the auth-service came back must be known within a second.
const firstRetryMs = 100;
const lastRetryMs = 500;
// A feed that answers at once without news, or each time with another log, would otherwise be asked in a tight loop.
const earlyAnswerPauseMs = 200;

/**
 * Follows one issuer's revocations: a whole snapshot first, put into force at once, then page after page by long-poll. A log
 * with another id, or one that ends before our cursor, is another log (a restored backup): all of it is read from the start,
 * and what was known stays in force beside it.
 */
export function followRevocations(options: FeedOptions): RevocationFeed {
  const { revocations, logger, issuer, nowMs } = options;
  // So that an answer without news comes well before knowledge counts as stale; below 1.2 s that is asking without waiting.
  const waitSec = Math.min(longestWaitSec, Math.floor((options.maxStalenessMs * 5) / 6 / 1000));
  const stats = { answers: 0, failures: 0, snapshots: 0, unknownItems: 0 };
  const outages = createOutageLog(nowMs);
  const crowded = createOutageLog(nowMs);
  let stopping: AbortController | undefined;
  /** The snapshot under way. */
  let reading: Reading | undefined;

  async function ask(question: FeedQuestion, signal: AbortSignal): Promise<RevocationPage> {
    const page = await options.ask(question, signal);
    stats.answers += 1;
    if (page.unknown > 0) {
      stats.unknownItems += page.unknown;
      logger.error(
        { issuer, items: page.unknown, cursor: page.cursor },
        'revocations of an unknown kind are not obeyed',
      );
    }
    return page;
  }

  /**
   * However long the log is: each page is taken in when it comes, and what is held is bounded by `revocations`. After a failure
   * it goes on from the last page, or a long log would be read from the start again and again.
   */
  async function readSnapshot(signal: AbortSignal): Promise<FeedPosition> {
    reading ??= { position: undefined, entries: 0, sinceMs: nowMs(), slow: createOutageLog(nowMs) };
    for (;;) {
      const { position, slow } = reading;
      const page = await ask({ position, waitSec: 0 }, signal);
      if (position !== undefined && !follows(page, position)) {
        reading = undefined;
        throw new Error('the log changed while it was read');
      }
      reading.entries += page.count;
      const { entries } = reading;
      if (page.complete) {
        revocations.applySnapshot(page.entries, nowMs());
        revocations.confirmCurrent(nowMs());
        stats.snapshots += 1;
        logger.info({ issuer, entries, took_ms: nowMs() - reading.sinceMs, log: page.log }, 'revocations read');
        reading = undefined;
        return positionAfter(page);
      }
      if (position?.cursor === page.cursor) {
        reading = undefined;
        throw new Error('the log does not go on');
      }
      reading.position = positionAfter(page);
      revocations.stage(page.entries, nowMs());
      if (slow.failed(false) === 'warn') logger.warn({ issuer, entries }, 'revocations are still being read');
      if (page.count === 0) await options.pause(earlyAnswerPauseMs, signal);
    }
  }

  async function readOn(
    position: FeedPosition,
    waitSec: number,
    signal: AbortSignal,
  ): Promise<FeedPosition | undefined> {
    const askedAt = performance.now();
    const page = await ask({ position, waitSec }, signal);
    const pauseIfEarly = async () => {
      if (performance.now() - askedAt < earlyAnswerPauseMs) await options.pause(earlyAnswerPauseMs, signal);
    };
    if (!follows(page, position)) {
      logger.warn({ issuer, log: page.log, cursor: page.cursor }, 'another revocation log: reading it from the start');
      await pauseIfEarly();
      return undefined;
    }
    revocations.apply(page.entries, nowMs());
    // That moment is rounded up to a whole second: what is in force before it is not late at all.
    for (const entry of page.entries) {
      const lagMs = Math.max(0, nowMs() - entry.notBeforeMs);
      const count = 'names' in entry ? entry.names.length : 1;
      for (let told = 0; told < count; told += 1) options.onLag?.(lagMs);
    }
    if (page.complete) revocations.confirmCurrent(nowMs());
    const isNews = page.cursor > position.cursor;
    if (!isNews) await pauseIfEarly();
    return positionAfter(page);
  }

  function tellIfCrowded(): void {
    const beforeMs = revocations.refusedBeforeMs(nowMs());
    if (beforeMs === undefined) {
      crowded.recovered();
      return;
    }
    if (crowded.failed(true) === undefined) return;
    logger.error(
      {
        issuer,
        alarm: 'too_many_revocations',
        held: revocations.size,
        refused_before: new Date(beforeMs).toISOString(),
      },
      'more revocations than are held one by one: every token of this issuer from before is refused',
    );
  }

  async function follow(signal: AbortSignal): Promise<void> {
    let position: FeedPosition | undefined;
    let failuresInARow = 0;
    while (!signal.aborted) {
      try {
        // After a failure without waiting: that there is no news is itself news to one whose knowledge may be stale.
        const wait = failuresInARow > 0 ? 0 : waitSec;
        position = position === undefined ? await readSnapshot(signal) : await readOn(position, wait, signal);
        tellIfCrowded();
        if (failuresInARow > 0) logger.info({ issuer, failures: failuresInARow }, 'revocation feed is back');
        failuresInARow = 0;
        outages.recovered();
      } catch (error) {
        if (signal.aborted) return;
        failuresInARow += 1;
        stats.failures += 1;
        const level = outages.failed(revocations.ready);
        // At first the auth-service may only be starting, and a stack says no more than its name.
        if (level === 'info') logger.info({ issuer, reason: reasonOf(error) }, 'revocation feed cannot be read yet');
        else if (level === 'warn')
          logger.warn({ issuer, err: error, failures: failuresInARow }, 'revocation feed cannot be read');
        const backoffMs = Math.min(lastRetryMs, firstRetryMs * 2 ** (failuresInARow - 1));
        await options.pause(backoffMs * (0.5 + options.random() / 2), signal);
      }
    }
  }

  return {
    start() {
      if (stopping !== undefined) return;
      stopping = new AbortController();
      void follow(stopping.signal);
    },
    stop() {
      stopping?.abort();
    },
    get stats() {
      return { ...stats };
    },
  };
}

const reasonOf = (error: unknown): string =>
  (error as NodeJS.ErrnoException).code ?? (error instanceof Error ? error.message : String(error));

const positionAfter = (page: RevocationPage): FeedPosition => ({ log: page.log, cursor: page.cursor });

const follows = (page: RevocationPage, position: FeedPosition): boolean =>
  page.log === position.log && page.cursor >= position.cursor;
