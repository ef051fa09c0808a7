import type { Logger } from '@countersign/service-kit';
import type { CourierWork } from './courier.ts';
import type { OutboxRow, OutboxRows } from './outbox-rows.ts';

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

/** Keeps only the error's or cause's name and code, because a mail server's message can quote the email. */
function reasonOf(error: unknown): string {
  const { name, code, cause } = error as { name?: string; code?: string; cause?: { code?: string } };
  return [name, code ?? cause?.code].filter((part) => part !== undefined).join(' ') || 'unknown error';
}
