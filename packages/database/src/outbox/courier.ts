import { type BackgroundLoop, type Logger, startBackgroundLoop } from '@countersign/process-kit';
import type { Database } from '../database.ts';
import type { LeasedRows, OutboxRow, OutboxRows } from './leased-rows.ts';

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

export type DeliveryResult = 'delivered' | 'retried' | 'given_up';

export type Deliveries<Row> = Readonly<{
  rows: OutboxRows<Row>;
  logger: Logger;
  /** What is delivered, for the log, such as `an email`. */
  what: string;
  atOnce: number;
  /** The total timeout of an attempt, even if the receiver keeps sending data. */
  timeoutMs: number;
  /**
   * Delivers a row. Stops when `signal` aborts.
   *
   * @returns Whether it was sent. False if it is no longer needed.
   * @throws The error that prevented the delivery.
   */
  deliver(row: Row, signal: AbortSignal): Promise<boolean>;
  /** The delay before the next attempt. Undefined to give up. */
  retryAfterMs(row: Row): number | undefined;
  /** Whether failed rows stay in the table, with `parked_at`. */
  parks: boolean;
  /** Fields for log lines. Must not contain an address or a secret. */
  logFields(row: Row): object;
  onResult?: ((result: DeliveryResult) => void) | undefined;
}>;

/** Delivers rows from an outbox, and retries failed ones. */
export function deliveries<Row extends OutboxRow>(of: Deliveries<Row>): CourierWork<Row> {
  return {
    rows: of.rows,
    atOnce: of.atOnce,
    async run(row, late) {
      let isSent: boolean;
      try {
        late.throwIfAborted();
        isSent = await of.deliver(row, AbortSignal.any([late, AbortSignal.timeout(of.timeoutMs)]));
      } catch (error) {
        // The process is stopping. The receiver did not fail.
        if (late.aborted) await of.rows.postpone(row, { delayMs: 0, error: undefined });
        else await failed(of, row, reasonOf(error));
        return;
      }
      await of.rows.remove(row);
      if (isSent) of.onResult?.('delivered');
    },
  };
}

async function failed<Row extends OutboxRow>(of: Deliveries<Row>, row: Row, reason: string): Promise<void> {
  const delayMs = of.retryAfterMs(row);
  if (delayMs === undefined && !of.parks) await of.rows.remove(row);
  else await of.rows.postpone(row, { delayMs, error: reason });
  const log = { ...of.logFields(row), attempts: row.attempts, reason };
  if (delayMs === undefined) of.logger.error(log, `gave up delivering ${of.what}`);
  else of.logger.warn({ ...log, retry_in_ms: delayMs }, `cannot deliver ${of.what}; retrying`);
  of.onResult?.(delayMs === undefined ? 'given_up' : 'retried');
}

/**
 * Keeps only the error's or cause's name and code, because a mail server's message can quote the email. A DOMException,
 * such as a timeout, has a number as its code, which says nothing.
 */
function reasonOf(error: unknown): string {
  const { name, code, cause } = error as { name?: unknown; code?: unknown; cause?: { code?: unknown } };
  const [given] = [code, cause?.code].filter((one) => typeof one === 'string');
  return [name, given].filter((part) => typeof part === 'string').join(' ') || 'unknown error';
}
