import { type Kysely, sql } from 'kysely';
import type { Database } from './database.ts';

const batch = 500;

type Table = Readonly<{ name: string; columns: readonly string[]; isForced: boolean }>;

/** Our tables, with their columns except computed ones, and whether row-level security is forced. */
async function tablesOf(trx: Kysely<unknown>): Promise<readonly Table[]> {
  const { rows } = await sql<Table>`
    select c.relname as name, c.relforcerowsecurity as "isForced",
      (select array_agg(attname::text order by attnum) from pg_attribute
        where attrelid = c.oid and attnum > 0 and not attisdropped and attgenerated = '') as columns
    from pg_class c
    where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace and c.relname not like 'kysely\\_%'`.execute(trx);
  return rows;
}

/** Runs work in which the owner sees all rows, and foreign keys are checked only at the end. */
async function unchecked(trx: Kysely<unknown>, tables: readonly Table[], work: () => Promise<void>): Promise<void> {
  const { rows: keys } = await sql<{ table: string; name: string }>`
    select conrelid::regclass::text as table, conname as name from pg_constraint where contype = 'f'`.execute(trx);
  const forced = tables.filter(({ isForced }) => isForced).map(({ name }) => sql.table(name));
  for (const { table, name } of keys)
    await sql`alter table ${sql.table(table)} alter constraint ${sql.ref(name)} deferrable initially deferred`.execute(
      trx,
    );
  for (const table of forced) await sql`alter table ${table} no force row level security`.execute(trx);
  await work();
  await sql`set constraints all immediate`.execute(trx);
  for (const table of forced) await sql`alter table ${table} force row level security`.execute(trx);
  for (const { table, name } of keys)
    await sql`alter table ${sql.table(table)} alter constraint ${sql.ref(name)} not deferrable`.execute(trx);
}

/** A count and checksum of a table's rows. */
async function sumOf(trx: Kysely<unknown>, { name }: Table): Promise<string> {
  const { rows } = await sql<{ sum: string }>`
    select count(*) || ' ' || coalesce(md5(string_agg(row, ',' order by row collate "C")), '') as sum
    from (select to_jsonb(t)::text as row from ${sql.table(name)} t) rows`.execute(trx);
  return rows[0]?.sum ?? '';
}

async function copyTable(from: Kysely<unknown>, to: Kysely<unknown>, { name, columns }: Table): Promise<void> {
  const table = sql.table(name);
  const names = sql.join(columns.map((column) => sql.ref(column)));
  await sql`declare source cursor for select to_jsonb(t)::text as row from ${table} t`.execute(from);
  for (;;) {
    const { rows } = await sql<{ row: string }>`fetch ${sql.lit(batch)} from source`.execute(from);
    if (rows.length === 0) break;
    // Copies text, because JavaScript numbers would lose digits.
    await sql`insert into ${table} (${names}) overriding system value
      select ${names} from jsonb_populate_recordset(null::${table}, ${`[${rows.map(({ row }) => row).join()}]`}::jsonb)`.execute(
      to,
    );
  }
  await sql`close source`.execute(from);
}

async function copySequences(from: Kysely<unknown>, to: Kysely<unknown>): Promise<void> {
  const { rows } = await sql<{ name: string; value: string | null }>`
    select sequencename as name, last_value::text as value from pg_sequences where schemaname = 'public'`.execute(from);
  for (const { name, value } of rows)
    if (value !== null) await sql`select setval(${`public.${name}`}::regclass, ${value}::bigint)`.execute(to);
}

/**
 * Replaces a database's rows with those of another database that has the same schema, in one transaction.
 *
 * @param from A PGlite database, where the user `postgres` sees all rows.
 * @param to A server's database, the role that owns its tables, and a table that has rows if the database is in use.
 * @returns The number of copied tables.
 * @throws Error if `to` is in use, or if the rows differ after copying. Nothing has changed then.
 */
export async function copyDatabase(
  from: Database<unknown>,
  { to, owner, filled }: Readonly<{ to: Database<unknown>; owner: string; filled: string }>,
): Promise<number> {
  return from.transaction({ role: 'postgres' }, (source) =>
    to.transaction({ role: owner }, async (target) => {
      for (const trx of [source, target]) await sql`set local timezone = 'UTC'`.execute(trx);
      const tables = await tablesOf(source);
      await unchecked(target, tables, async () => {
        const { rows } = await sql`select from ${sql.table(filled)} limit 1`.execute(target);
        if (rows.length > 0) throw new Error(`the server already has data in the table ${filled}`);
        for (const { name } of tables) await sql`delete from ${sql.table(name)}`.execute(target);
        for (const table of tables) {
          await copyTable(source, target, table);
          const [wanted, is] = [await sumOf(source, table), await sumOf(target, table)];
          if (wanted !== is) throw new Error(`${table.name}: the copied rows differ (${wanted} and ${is})`);
        }
        await copySequences(source, target);
      });
      return tables.length;
    }),
  );
}
