import type { OutboxDepth } from '@countersign/service-kit';
import { type RawBuilder, sql } from 'kysely';
import { inMs, inRole, isHeld, type LeasedRows, type LeasedTable, leasedRows, now } from './leased-rows.ts';

/** A table of messages to deliver, with the columns `attempts`, `due_at`, `leased_until` and `last_error`. */
export type OutboxTable<Schema> = Pick<
  LeasedTable<Schema>,
  'db' | 'role' | 'table' | 'key' | 'isNext' | 'order' | 'perTenant'
> &
  Readonly<{
    /** The `topic` label of the metrics. */
    topic: string;
    /** Which rows to deliver, all by default. */
    waits?: RawBuilder<unknown>;
    /** The column that says when a row was added. */
    since: string;
  }>;

/** `attempts` includes the current attempt. */
export type OutboxRow = Readonly<{ attempts: number }>;

export type OutboxRows<Row> = LeasedRows<Row> &
  Readonly<{
    remove(row: Row): Promise<void>;
    /** Ends a lease, unless another process has taken it over. */
    postpone(row: Row, next: Postponed): Promise<void>;
    /** Counts the waiting rows and measures their age, for the metrics. */
    depth(): Promise<OutboxDepth>;
  }>;

export type Postponed = Readonly<{
  /** Undefined sets `parked_at`, so that the row is not delivered again. */
  delayMs: number | undefined;
  /** Undefined if the attempt does not count as a failure. */
  error: string | undefined;
}>;

/** An outbox. Transactions add rows, and each row is delivered at least once. Several instances can deliver. */
export function outboxRows<Schema, Row extends OutboxRow>(outbox: OutboxTable<Schema>): OutboxRows<Row> {
  const { topic, waits = sql`true`, since, ...rest } = outbox;
  const of: LeasedTable<Schema> = { ...rest, waits, countsAttempts: true, dueAt: sql`o.due_at` };
  const table = sql.table(of.table);
  return {
    ...leasedRows<Schema, Row>(of),
    async remove(row) {
      // Deletes a delivered row even if another process now holds its lease.
      const isRow = isHeld({ ...of, countsAttempts: false }, row);
      await inRole(of, (trx) => sql`delete from ${table} where ${isRow}`.execute(trx));
    },
    async postpone(row, { delayMs, error }) {
      const until = delayMs === undefined ? sql`parked_at = ${now}` : sql`due_at = ${inMs(delayMs)}`;
      const outcome = error === undefined ? sql`attempts = attempts - 1` : sql`last_error = ${error}`;
      await inRole(of, (trx) =>
        sql`update ${table} set leased_until = null, ${until}, ${outcome} where ${isHeld(of, row)}`.execute(trx),
      );
    },
    async depth() {
      const { rows } = await inRole(of, (trx) =>
        sql<Omit<OutboxDepth, 'topic'>>`select count(*)::int as waiting,
            coalesce(extract(epoch from ${now} - min(${sql.ref(`o.${since}`)})), 0)::float8 as "oldestSec"
          from ${table} o where ${waits}`.execute(trx),
      );
      return { topic, waiting: 0, oldestSec: 0, ...rows[0] };
    },
  };
}
