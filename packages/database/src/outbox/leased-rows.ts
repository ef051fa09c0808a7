import type { OutboxDepth } from '@countersign/process-kit';
import { type RawBuilder, sql, type Transaction } from 'kysely';
import type { Database } from '../database.ts';

/**
 * How long a lease lasts, in seconds. The process that holds it renews it. After a crash, another process takes over
 * within this time.
 */
export const leaseSec = 10;

// The statement's start time, which is constant, so that PostgreSQL can use an index.
export const now = sql<Date>`statement_timestamp()`;
export const inMs = (ms: number) => sql<Date>`statement_timestamp() + make_interval(secs => ${ms / 1000}::float8)`;

/** A table with a column `leased_until`. Its conditions refer to the row as `o`. */
type LeasedTable<Schema> = Readonly<{
  db: Database<Schema>;
  /** A database role that sees rows in all tenants. It can update `leased_until`, and `attempts` if counted. */
  role: string;
  table: string;
  /** The columns that identify a row. */
  key: readonly string[];
  /** Whether each lease increments `attempts`, so that a process notices when another one has taken over its lease. */
  countsAttempts?: boolean;
  waits: RawBuilder<unknown>;
  /** A condition for waiting rows that can be leased now. By default all can. */
  isNext?: RawBuilder<unknown>;
  /** When a row is due. Null for rows without work. */
  dueAt: RawBuilder<unknown>;
  order: RawBuilder<unknown>;
  /** The maximum number of rows that all instances lease at the same time for each `tenant_id`. No limit by default. */
  perTenant?: number;
}>;

/** Rows that one process at a time can lease. */
export type LeasedRows<Row> = Readonly<{
  /** Leases due rows in order. Skips rows that another instance is leasing. */
  claim(limit: number): Promise<Row[]>;
  renew(rows: readonly Row[]): Promise<void>;
  /** Returns the milliseconds until a row can be leased. Undefined if no row waits. */
  nextDueMs(): Promise<number | undefined>;
}>;

/** Leases rows of a table. Several instances can do this at once. */
export function leasedRows<Schema, Row extends object>(of: LeasedTable<Schema>): LeasedRows<Row> {
  const { waits, dueAt, order, isNext = sql`true`, countsAttempts = false } = of;
  const table = sql.table(of.table);
  const key = columns(of.key);
  const isFree = sql`coalesce(o.leased_until <= ${now}, true)`;
  const isReady = sql`${waits} and ${isNext} and ${dueAt} <= ${now} and ${isFree}`;
  const lease = sql`leased_until = ${inMs(leaseSec * 1000)}`;

  const next = (limit: number) =>
    of.perTenant === undefined
      ? sql`select ${columns(of.key, 'o')} from ${table} o where ${isReady}
          order by ${order} limit ${limit}::int for update skip locked`
      : sql`select ${columns(of.key, 'o')} from ${table} o
          join (select ${columns(of.key, 'o')}, row_number() over (partition by o.tenant_id order by ${order}) as turn
            from ${table} o where ${isReady}) ready on (${columns(of.key, 'ready')}) = (${columns(of.key, 'o')})
          left join (select tenant_id, count(*) from ${table} where leased_until > ${now} group by tenant_id) leased
            on leased.tenant_id = o.tenant_id
          where turn <= ${of.perTenant}::int - coalesce(leased.count, 0) and ${isFree}
          order by ${order} limit ${limit}::int for update of o skip locked`;

  return {
    async claim(limit) {
      const { rows } = await inRole(of, (trx) =>
        // As a subquery of `in`, it could run once for each row of a nested loop, and lease `limit` more rows each time.
        sql<Row>`with next as materialized (${next(limit)})
          update ${table} set ${lease}${countsAttempts ? sql`, attempts = attempts + 1` : sql``}
          where (${key}) in (select * from next) returning *`.execute(trx),
      );
      return rows;
    },
    async renew(rows) {
      const isOneOf = sql.join(
        rows.map((row) => isHeld(of, row)),
        sql` or `,
      );
      await inRole(of, (trx) =>
        sql`update ${table} set ${lease} where leased_until is not null and (${isOneOf})`.execute(trx),
      );
    },
    async nextDueMs() {
      const { rows } = await inRole(of, (trx) =>
        sql<{ ms: number | null }>`
          select (extract(epoch from min(greatest(o.leased_until, ${dueAt})) - ${now}) * 1000)::float8 as ms
          from ${table} o where ${waits} and ${isNext} and ${dueAt} is not null`.execute(trx),
      );
      const ms = rows[0]?.ms ?? undefined;
      return ms === undefined ? undefined : Math.max(0, ms);
    },
  };
}

/** The row, as long as this process holds its lease. */
export function isHeld<Schema>({ key, countsAttempts }: LeasedTable<Schema>, row: object): RawBuilder<unknown> {
  const values = row as Record<string, unknown>;
  const held = countsAttempts ? [...key, 'attempts'] : key;
  return sql`(${sql.join(
    held.map((column) => sql`${sql.ref(column)} = ${values[column]}`),
    sql` and `,
  )})`;
}

const inRole = <Schema, T>(
  { db, role }: LeasedTable<Schema>,
  work: (trx: Transaction<Schema>) => Promise<T>,
): Promise<T> => db.transaction({ role }, work);

const columns = (names: readonly string[], of?: string) =>
  sql.join(names.map((name) => sql.ref(of === undefined ? name : `${of}.${name}`)));

/** A table of messages to deliver, with the columns `attempts`, `due_at`, `leased_until` and `last_error`. */
type OutboxTable<Schema> = Pick<
  LeasedTable<Schema>,
  'db' | 'role' | 'table' | 'key' | 'isNext' | 'order' | 'perTenant'
> &
  Readonly<{
    /** The `topic` label of the metrics. */
    topic: string;
    /** Which rows to deliver, all by default. */
    waits?: RawBuilder<unknown>;
    /** The column that says when a row was added, or should be delivered. */
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

type Postponed = Readonly<{
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
            greatest(0, extract(epoch from ${now} - min(${sql.ref(`o.${since}`)})))::float8 as "oldestSec"
          from ${table} o where ${waits}`.execute(trx),
      );
      return { topic, waiting: 0, oldestSec: 0, ...rows[0] };
    },
  };
}
