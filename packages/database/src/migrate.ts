import { StartupError } from '@countersign/service-kit';
import { type Kysely, sql } from 'kysely';
import { type Migration as KyselyMigration, Migrator } from 'kysely/migration';

/** One numbered step, e.g. `0001-complaints`. Statements run in order, one by one, in a transaction with the others. */
export type Migration = Readonly<{ name: string; statements: readonly string[] }>;

/**
 * Brings the schema up to date. Several instances may start at once: one migrates, the others wait.
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

/** The name that the server gives this database, for messages to an operator. */
export async function databaseName(kysely: Kysely<unknown>): Promise<string> {
  const { rows } = await sql<{ name: string }>`select current_database() as name`.execute(kysely);
  return rows[0]?.name ?? '';
}
