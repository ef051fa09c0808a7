import { type Logger, type Rounds, startRounds } from '@countersign/service-kit';
import type { Database } from '../database.ts';
import type { LeasedRows } from './leased-rows.ts';

/** Work that couriers take from a table, such as the deliveries of one topic. */
export type CourierWork<Row> = Readonly<{
  rows: LeasedRows<Row>;
  /** At most this many are under way in this process. */
  atOnce: number;
  /**
   * Works on one row until `signal` aborts. An error is logged, and the row is leased again after its lease has expired.
   */
  run(row: Row, signal: AbortSignal): Promise<void>;
}>;

export type CourierParts<Schema, Row> = Readonly<{
  db: Database<Schema>;
  logger: Logger;
  /** A NOTIFY on it means that there is work. */
  channel: string;
  /** Each has a loop of its own: one that hangs delays no other. */
  work: readonly CourierWork<Row>[];
  /** How long what is under way may go on when the courier stops. */
  graceMs: number;
}>;

const idleMs = 30_000;
/** Until rows are looked for again that are due, but wait for others of their tenant or of their key. */
const busyMs = 1_000;
const renewEveryMs = 3_000;

/** Works on what is due, until it is stopped. Any number of instances may do this at once. @returns Stops it. */
export async function startCourier<Schema, Row>(parts: CourierParts<Schema, Row>): Promise<() => Promise<void>> {
  const late = new AbortController();
  let loops: readonly Rounds[] = [];
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

function startLoop<Row>(logger: Logger, { rows, atOnce, run }: CourierWork<Row>, late: AbortSignal): Rounds {
  const underWay = new Map<Row, Promise<void>>();
  const begin = (row: Row) => {
    const running = run(row, late)
      .catch((error: unknown) => logger.error({ err: error }, 'the result of a delivery was lost; it is tried again'))
      .finally(() => {
        underWay.delete(row);
        rounds.wake();
      });
    underWay.set(row, running);
  };
  const rounds = startRounds({
    async round() {
      const free = atOnce - underWay.size;
      const claimed = free === 0 ? [] : await rows.claim(free);
      for (const row of claimed) begin(row);
      // What ends wakes this loop.
      if (claimed.length === free) return idleMs;
      const dueMs = (await rows.nextDueMs()) ?? idleMs;
      return dueMs === 0 ? busyMs : Math.min(idleMs, dueMs);
    },
    onError: (error) => logger.error({ err: error }, 'the outbox cannot be read; it is tried again'),
  });
  const renewals = startRounds({
    async round() {
      if (underWay.size > 0) await rows.renew([...underWay.keys()]);
      return renewEveryMs;
    },
    onError: (error) => logger.error({ err: error }, 'leases cannot be renewed; it is tried again'),
  });
  return {
    wake: rounds.wake,
    async stop() {
      await rounds.stop();
      await Promise.all(underWay.values());
      await renewals.stop();
    },
  };
}
