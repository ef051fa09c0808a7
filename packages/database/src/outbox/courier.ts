import { type BackgroundLoop, type Logger, startBackgroundLoop } from '@countersign/service-kit';
import type { Database } from '../database.ts';
import type { LeasedRows } from './leased-rows.ts';

/** Work that couriers take from a table, such as the deliveries of one topic. */
export type CourierWork<Row> = Readonly<{
  rows: LeasedRows<Row>;
  /** The maximum that this process delivers at the same time. */
  atOnce: number;
  /**
   * Delivers one row. Stops when `signal` aborts. An error is logged, and the row is retried after its lease expires.
   */
  run(row: Row, signal: AbortSignal): Promise<void>;
}>;

export type CourierParts<Schema, Row> = Readonly<{
  db: Database<Schema>;
  logger: Logger;
  /** PostgreSQL sends a NOTIFY on it when there is work. */
  channel: string;
  /** The number of couriers. Each has its own loop, so a hung delivery does not delay the others. */
  work: readonly CourierWork<Row>[];
  /** How long current deliveries may continue after a stop. */
  graceMs: number;
}>;

const idleMs = 30_000;
/** The delay before checking again for rows that are due but blocked by another row of their tenant or key. */
const busyMs = 1_000;
const renewEveryMs = 3_000;

/**
 * Delivers due rows until it is stopped. Any number of instances may run at once.
 *
 * @returns A function that stops it.
 */
export async function startCourier<Schema, Row>(parts: CourierParts<Schema, Row>): Promise<() => Promise<void>> {
  const late = new AbortController();
  let loops: readonly BackgroundLoop[] = [];
  const stopListening = await parts.db.listen(parts.channel, () => {
    for (const { wake } of loops) wake();
  });
  loops = parts.work.map((work) => startLoop(parts.logger, work, late.signal));
  return async () => {
    const timer = setTimeout(() => late.abort(), parts.graceMs);
    await Promise.all(loops.map(({ stop }) => stop()));
    clearTimeout(timer);
    await stopListening();
  };
}

function startLoop<Row>(logger: Logger, { rows, atOnce, run }: CourierWork<Row>, late: AbortSignal): BackgroundLoop {
  const current = new Map<Row, Promise<void>>();
  const begin = (row: Row) => {
    const running = run(row, late)
      .catch((error: unknown) => logger.error({ err: error }, 'the result of a delivery was lost; retrying'))
      .finally(() => {
        current.delete(row);
        claims.wake();
      });
    current.set(row, running);
  };
  const claims = startBackgroundLoop({
    async run() {
      const free = atOnce - current.size;
      const claimed = free === 0 ? [] : await rows.claim(free);
      for (const row of claimed) begin(row);
      // Each delivery that ends wakes this loop.
      if (claimed.length === free) return idleMs;
      const dueMs = (await rows.nextDueMs()) ?? idleMs;
      return dueMs === 0 ? busyMs : Math.min(idleMs, dueMs);
    },
    onError: (error) => logger.error({ err: error }, 'the outbox cannot be read; retrying'),
  });
  const renewals = startBackgroundLoop({
    async run() {
      if (current.size > 0) await rows.renew([...current.keys()]);
      return renewEveryMs;
    },
    onError: (error) => logger.error({ err: error }, 'leases cannot be renewed; retrying'),
  });
  return {
    wake: claims.wake,
    async stop() {
      await claims.stop();
      await Promise.all(current.values());
      await renewals.stop();
    },
  };
}
