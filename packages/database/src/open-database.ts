import { join } from 'node:path';
import type { Kysely } from 'kysely';
import { type Database, makeDatabase } from './database.ts';
import { checkMigrations, type Migration, migrate } from './migrate.ts';
import { createRoles, openPglite, type PgliteLocation } from './open-pglite.ts';
import { openPostgres } from './open-postgres.ts';
import { provision } from './provision.ts';
import { checkOwner, checkPolicies, checkRoles } from './row-security.ts';

/** Where a database is: on a server that creates it, an existing database, or PGlite in a directory or in memory. */
export type Location = Readonly<{ serverUrl: string }> | Readonly<{ databaseUrl: string }> | PgliteLocation;

export type OpenOptions = Readonly<{
  location: Location;
  /** The database name on a server, such as `countersign_auth`. */
  name: string;
  /** The role that connects to the database and owns it. */
  login: string;
  /** The NOLOGIN roles of transactions. */
  roles: readonly string[];
  migrations: readonly Migration[];
  /** Called when an idle connection is lost. */
  onError?: (error: Error) => void;
  /** The maximum number of connections to a server, 10 by default. PGlite has one. */
  maxConnections?: number;
}>;

/** Opens, checks and migrates a service's database. The same SQL runs at every location. */
export async function openDatabase<Schema>(options: OpenOptions): Promise<Database<Schema>> {
  const { kysely, driver, openPool } = await open<Schema>(options);
  const untyped = kysely as unknown as Kysely<unknown>;
  try {
    const { location } = options;
    await checkMigrations(untyped, options.migrations, 'dataDir' in location ? location.dataDir : undefined);
    if (driver.kind === 'pglite') await createRoles(untyped, options.roles);
    // Checks roles before creating tables. Tables that a superuser creates by mistake would stay the superuser's.
    await checkRoles(untyped, driver.kind, options.roles);
    await checkOwner(untyped);
    await migrate(untyped, options.migrations);
    await checkPolicies(untyped, options.roles);
  } catch (error) {
    await driver.close();
    throw error;
  }
  return makeDatabase(kysely, driver, openPool);
}

async function open<Schema>({ location, onError = () => {}, maxConnections = 10, ...wanted }: OpenOptions) {
  if ('dataDir' in location) return openPglite<Schema>(location);
  const url = 'serverUrl' in location ? await provision(location.serverUrl, wanted) : location.databaseUrl;
  return openPostgres<Schema>(url, { onError, maxConnections });
}

type SharedConfig = Readonly<{ DATABASE_URL?: string | undefined; DATABASE_PREFIX: string; COUNTERSIGN_HOME: string }>;

/** Returns the service's own URL, or else the server's, or else PGlite under COUNTERSIGN_HOME (DESIGN section 7). */
export function databaseOf(service: string, databaseUrl: string | undefined, config: SharedConfig) {
  const { DATABASE_URL: serverUrl, DATABASE_PREFIX: prefix, COUNTERSIGN_HOME: home } = config;
  const shared: Location = serverUrl === undefined ? { dataDir: join(home, 'data', service) } : { serverUrl };
  return { name: `${prefix}_${service}`, location: databaseUrl === undefined ? shared : { databaseUrl } };
}

/**
 * Returns a problem if a production service has no database server.
 *
 * @param variable The service's own URL, such as `AUTH_DATABASE_URL`.
 */
export function databaseProblems(
  variable: string,
  config: Readonly<{ NODE_ENV: string; DATABASE_URL?: string | undefined; [own: string]: unknown }>,
): string[] {
  if (config.NODE_ENV !== 'production') return [];
  if (config[variable] !== undefined || config.DATABASE_URL !== undefined) return [];
  return [`DATABASE_URL: is required in production, or ${variable}: the built-in PGlite is for development`];
}
