import { type RawBuilder, sql, type Transaction } from 'kysely';
import type { Database } from '../database.ts';

/**
 * Lease of a row in seconds. The process that holds it renews it; after a crash, another one takes over within this
 * time.
 */
export const leaseSec = 10;

// The time of the statement: a constant, so that PostgreSQL can use an index.
export const now = sql<Date>`statement_timestamp()`;
export const inMs = (ms: number) => sql<Date>`statement_timestamp() + make_interval(secs => ${ms / 1000}::float8)`;

/** A table with a column `leased_until`. In its conditions, `o` is the row. */
export type LeasedTable<Schema> = Readonly<{
  db: Database<Schema>;
  /** A database role that sees the rows of all tenants, and may update `leased_until` and, if counted, `attempts`. */
  role: string;
  table: string;
  /** The columns that identify a row. */
  key: readonly string[];
  /** Whether each lease increments `attempts`. A process can then detect that another one has taken over its lease. */
  countsAttempts?: boolean;
  waits: RawBuilder<unknown>;
  /** A condition for waiting rows that may be leased now. All by default. */
  isNext?: RawBuilder<unknown>;
  /** Null for rows without work. */
  dueAt: RawBuilder<unknown>;
  order: RawBuilder<unknown>;
  /** The maximum of rows of one `tenant_id` that all instances lease at the same time. No limit by default. */
  perTenant?: number;
}>;

/** Rows that each belong to one process at a time. */
export type LeasedRows<Row> = Readonly<{
  /** Leases due rows in order. Skips rows that another instance is leasing. */
  claim(limit: number): Promise<Row[]>;
  renew(rows: readonly Row[]): Promise<void>;
  /** Milliseconds until a row can be leased; undefined when none waits. */
  nextDueMs(): Promise<number | undefined>;
}>;

/** Leases rows of a table. Any number of instances may do this at once. */
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
        sql<Row>`update ${table} set ${lease}${countsAttempts ? sql`, attempts = attempts + 1` : sql``}
          where (${key}) in (${next(limit)}) returning *`.execute(trx),
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

/** The row, while this process holds its lease. */
export function isHeld<Schema>({ key, countsAttempts }: LeasedTable<Schema>, row: object): RawBuilder<unknown> {
  const values = row as Record<string, unknown>;
  const held = countsAttempts ? [...key, 'attempts'] : key;
  return sql`(${sql.join(
    held.map((column) => sql`${sql.ref(column)} = ${values[column]}`),
    sql` and `,
  )})`;
}

export const inRole = <Schema, T>(
  { db, role }: LeasedTable<Schema>,
  work: (trx: Transaction<Schema>) => Promise<T>,
): Promise<T> => db.transaction({ role }, work);

const columns = (names: readonly string[], of?: string) =>
  sql.join(names.map((name) => sql.ref(of === undefined ? name : `${of}.${name}`)));
