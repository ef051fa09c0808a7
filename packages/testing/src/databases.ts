import { type Database, type Location, type OpenOptions, openDatabase } from '@countersign/database';
import { sql } from 'kysely';
import pg from 'pg';
import { migratedPglite } from './pglite-template.ts';

export type ThrowAway<Schema> = Readonly<{
  db: Database<Schema>;
  location: Location;
  name: string;
  /** Closes the database, and drops it on a server. */
  close(): Promise<void>;
}>;

export type TestDatabase = ReturnType<typeof testDatabase>;

/** The databases for `describe.each`: the server that `DATABASE_URL` names, or else PGlite. */
export function databases(): [kind: string, database: TestDatabase][] {
  const database = testDatabase(process.env.DATABASE_URL || undefined);
  return [[database.kind, database]];
}

let made = 0;

function testDatabase(serverUrl: string | undefined) {
  return {
    kind: serverUrl === undefined ? ('pglite' as const) : ('postgres' as const),
    /** Opens an empty, migrated database. */
    async open<Schema>(options: Omit<OpenOptions, 'location' | 'name'>): Promise<ThrowAway<Schema>> {
      made += 1;
      const name = `countersign_test_${process.pid}_${Date.now().toString(36)}_${made}`;
      const location = serverUrl === undefined ? { dataDir: undefined } : { serverUrl };
      const begun = serverUrl === undefined ? { dataDir: undefined, copyOf: await migratedPglite(options) } : location;
      const db = await openDatabase<Schema>({ ...options, location: begun, name });
      return {
        db,
        location,
        name,
        async close() {
          await db.close();
          if (serverUrl !== undefined) await asAdmin(serverUrl, (admin) => drop(admin, name));
        },
      };
    },
  };
}

/** Runs statements as a superuser who sees all rows, to fill tables in bulk or for ANALYZE. */
export async function runAsSuperuser<Schema>(
  { db, name }: ThrowAway<Schema>,
  statements: readonly string[],
): Promise<void> {
  const { DATABASE_URL: serverUrl = '' } = process.env;
  if (db.kind === 'postgres') {
    const url = new URL(serverUrl);
    url.pathname = `/${name}`;
    await asAdmin(url.href, async (admin) => {
      for (const statement of statements) await admin.query(statement);
    });
    return;
  }
  await db.transaction({ role: 'postgres' }, async (trx) => {
    for (const statement of statements) await sql.raw(statement).execute(trx);
  });
}

/** Drops every database with this name prefix, which the processes of an end-to-end test created. */
export function dropDatabases(serverUrl: string, prefix: string): Promise<void> {
  return asAdmin(serverUrl, async (admin) => {
    const { rows } = await admin.query<{ datname: string }>(
      'select datname from pg_database where starts_with(datname, $1)',
      [prefix],
    );
    for (const { datname } of rows) await drop(admin, datname);
  });
}

async function drop(admin: pg.Client, name: string): Promise<void> {
  await admin.query(`drop database if exists ${pg.escapeIdentifier(name)} with (force)`);
}

async function asAdmin(serverUrl: string, work: (admin: pg.Client) => Promise<void>): Promise<void> {
  const admin = new pg.Client({ connectionString: serverUrl });
  await admin.connect();
  try {
    await work(admin);
  } finally {
    await admin.end();
  }
}

/** Finds tables with a `tenant_id` that do not force row-level security for every role. Must find none. */
export const tablesWithoutForcedRowSecurity = `
  select c.relname as name from pg_class c
  join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'public'
  join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
  where c.relkind in ('r', 'p') and not (c.relrowsecurity and c.relforcerowsecurity)
  order by 1`;
