import { type BackgroundLoop, type Logger, startBackgroundLoop } from '@countersign/service-kit';
import type { Database } from '../database.ts';
import type { LeasedRows } from './leased-rows.ts';

/** Work that couriers take from a table, such as deliveries. */
export type CourierWork<Row> = Readonly<{
  rows: LeasedRows<Row>;
  /** How many rows this process delivers at the same time. */
  atOnce: number;
  /** Delivers a row. Stops when `signal` aborts. After an error, the row is retried once its lease expires. */
  run(row: Row, signal: AbortSignal): Promise<void>;
}>;

export type CourierParts<Schema, Row> = Readonly<{
  db: Database<Schema>;
  logger: Logger;
  /** The NOTIFY channel for new work. */
  channel: string;
  /** The number of couriers. Each has its own loop, so that a hung delivery does not delay the others. */
  work: readonly CourierWork<Row>[];
  /** How long current deliveries can continue after a stop. */
  graceMs: number;
}>;

const idleMs = 30_000;
/** The delay before checking again for due rows that another row of their tenant or key blocks. */
const busyMs = 1_000;
const renewEveryMs = 3_000;

/** Delivers due rows until it is stopped. Several instances can run at once. @returns A function that stops it. */
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
      .catch((error: unknown) => logger.error({ err: error }, 'a delivery result was lost; retrying'))
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
      // The end of each delivery wakes this loop.
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
