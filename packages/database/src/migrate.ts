import { StartupError } from '@countersign/process-kit';
import { type Kysely, sql } from 'kysely';
import { type Migration as KyselyMigration, Migrator } from 'kysely/migration';

/**
 * A numbered step, such as `0001-complaints`. Its statements run one by one, in one transaction with all other steps.
 */
export type Migration = Readonly<{ name: string; statements: readonly string[] }>;

/**
 * Brings the schema up to date. If several instances start at once, one migrates and the others wait.
 *
 * @throws StartupError naming the migration that failed.
 */
export async function migrate(kysely: Kysely<unknown>, migrations: readonly Migration[]): Promise<void> {
  const steps: Record<string, KyselyMigration> = {};
  for (const { name, statements } of migrations) {
    steps[name] = {
      async up(db) {
        for (const statement of statements) await sql.raw(statement).execute(db);
      },
    };
  }
  const migrator = new Migrator({ db: kysely, provider: { getMigrations: async () => steps } });
  const { error, results } = await migrator.migrateToLatest();
  if (error === undefined) return;
  const failed = results?.find((result) => result.status === 'Error')?.migrationName;
  const step = failed === undefined ? 'its migrations' : `its migration ${failed}`;
  const name = await databaseName(kysely);
  throw new StartupError(`database ${name}: ${step} failed: ${(error as Error).message}`, { cause: error });
}

/**
 * Refuses a database with migrations that this version does not have. Writes nothing.
 *
 * @param dataDir PGlite's directory. Undefined on a server and in memory.
 * @throws StartupError that tells the operator what to do.
 */
export async function checkMigrations(
  kysely: Kysely<unknown>,
  migrations: readonly Migration[],
  dataDir: string | undefined,
): Promise<void> {
  // `checkOwner` refuses another owner's table, which cannot be read here.
  const { rows: tables } = await sql<{ readable: boolean | null }>`
    select has_table_privilege(to_regclass('kysely_migration'), 'select') as readable`.execute(kysely);
  if (tables[0]?.readable !== true) return;
  const { rows } = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(kysely);
  const applied = new Set(rows.map(({ name }) => name));
  const unknown = rows.find((row) => migrations.every(({ name }) => name !== row.name));
  if (unknown === undefined) return;
  const where = dataDir === undefined ? `database ${await databaseName(kysely)}` : `data folder ${dataDir}`;
  if (migrations.every(({ name }) => applied.has(name)))
    throw new StartupError(
      `${where}: a newer version changed its tables (kysely_migration lists ${unknown.name}); start that version, or restore a backup from before the upgrade`,
    );
  const remedy = dataDir === undefined ? 'drop and recreate the database' : `remove ${dataDir}`;
  throw new StartupError(
    `${where}: another development version made its tables (kysely_migration lists ${unknown.name}), and this version cannot read them; ${remedy} to start with empty tables`,
  );
}

/** Returns the database name for messages to operators. */
export async function databaseName(kysely: Kysely<unknown>): Promise<string> {
  const { rows } = await sql<{ name: string }>`select current_database() as name`.execute(kysely);
  return rows[0]?.name ?? '';
}
