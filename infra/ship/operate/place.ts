import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { OpenOptions } from '@countersign/database';
import { provision } from '@countersign/database';
import { authDatabase } from '../../../auth-service/src/store/database.ts';
import { complaintsDatabase } from '../../../complaint-service/src/store/database.ts';
import { usersDatabase } from '../../../users-service/src/store/schema.ts';

/** The databases of an installation by the last part of their names, e.g. `countersign_auth`. */
export const databases: Readonly<Record<'auth' | 'users' | 'complaints', Omit<OpenOptions, 'location' | 'name'>>> = {
  auth: authDatabase,
  users: usersDatabase,
  complaints: complaintsDatabase,
};

export const databaseNames = Object.keys(databases) as (keyof typeof databases)[];

const repository = resolve(import.meta.dirname, '../../..');

type Files = Readonly<{ from?: string; to?: string }>;
type Name = (typeof databaseNames)[number];

/** Runs a program, from and to files if given. @throws Error with its errors. */
export function run(command: string, args: readonly string[], files: Files = {}): string {
  const input = files.from === undefined ? 'ignore' : openSync(files.from, 'r');
  const output = files.to === undefined ? 'pipe' : openSync(files.to, 'wx', 0o600);
  const env = { COMPOSE_FILE: 'infra/compose.yaml', ...process.env };
  const options = { cwd: repository, env, encoding: 'utf8', maxBuffer: 2 ** 26 } as const;
  const { status, stdout, stderr, error } = spawnSync(command, args, { ...options, stdio: [input, output, 'pipe'] });
  for (const file of [input, output]) if (typeof file === 'number') closeSync(file);
  if (error !== undefined) throw new Error(`${command}: ${error.message}`);
  if (status !== 0) throw new Error(`${command} ${args.slice(0, 4).join(' ')}: ${stderr.trim()}`);
  return (stdout ?? '').trim();
}

// Replaces a database with the dump on standard input, in one transaction. `pg_restore --clean` would keep tables that a
// newer version added, and that version could not create them again.
const replaceDatabase = `set -eu
sql="$(mktemp)"
trap 'rm "$sql"' EXIT
pg_restore -f "$sql"
{
  echo 'drop schema public cascade;'
  echo 'create schema public authorization pg_database_owner;'
  echo 'grant usage on schema public to public;'
  cat "$sql"
} | psql -q --single-transaction -v ON_ERROR_STOP=1 -o /dev/null -d "$0" -f -`;

/**
 * @param postgres Runs a program of PostgreSQL.
 * @param connectionTo Returns the connection string of a database.
 */
const databasesAt = (
  postgres: (args: readonly string[], files?: Files) => string,
  connectionTo: (name: Name) => string,
) => ({
  /** Writes a dump in PostgreSQL's custom format. */
  dump: (name: Name, file: string) => void postgres(['pg_dump', '-Fc', '-d', connectionTo(name)], { to: file }),
  /** Replaces everything in the database with a dump, or changes nothing. */
  load: (name: Name, file: string) => void postgres(['sh', '-c', replaceDatabase, connectionTo(name)], { from: file }),
  /** Returns the value of a query with one row of one column. */
  ask: (name: Name, sql: string) => postgres(['psql', '-d', connectionTo(name), '-tAc', sql]),
});

/** Where an installation keeps its data, for `backup` to read and `restore` to write. */
export type Place = ReturnType<typeof composePlace>;

/** The containers of compose.yaml. */
export function composePlace(prefix: string) {
  const compose = (args: readonly string[], files?: Files) => run('docker', ['compose', ...args], files);
  const postgres = (args: readonly string[], files?: Files) => compose(['exec', '-T', 'postgres', ...args], files);
  const home = '/var/lib/countersign';
  return {
    ...databasesAt(postgres, (name) => `user=postgres dbname=${prefix}_${name}`),
    packAttachments(file: string) {
      const pack = `cd ${home} && mkdir -p data && exec tar -c data`;
      compose(['exec', '-T', 'complaint-service', 'sh', '-c', pack], { to: file });
    },
    /** Replaces the attachments. */
    unpackAttachments(file: string) {
      const unpack = ['-c', `cd ${home} && rm -rf data && exec tar -x`];
      const once = ['run', '--rm', '-T', '--no-deps', '--entrypoint', 'sh'];
      compose([...once, 'complaint-service', ...unpack], { from: file });
    },
    /** Files and directories with keys and secrets, relative to `root`. Those that do not exist are left out. */
    keys: { root: join(repository, 'infra'), paths: ['secrets', '.env'] },
    /** Creates missing databases and roles. Migrates no database that exists. */
    async prepare() {
      compose(['up', '--wait', 'postgres']);
      const names = databaseNames.map((name) => `'${prefix}_${name}'`).join();
      const count = `select count(*) from pg_database where datname in (${names})`;
      // Each service creates its database and its roles when it starts. It does not start on tables of a newer version,
      // which `load` replaces.
      if (postgres(['psql', '-U', 'postgres', '-tAc', count]) !== String(databaseNames.length))
        compose(['up', '--build', '--wait']);
    },
    /** @throws Error when services use the databases and this command cannot stop them. */
    stop: () => void compose(['stop', 'gateway', 'auth-service', 'users-service', 'complaint-service']),
    /** Starts the services. @returns What the user must do instead, if anything. */
    start() {
      // The images may be those of another version.
      compose(['up', '--build', '--wait']);
      return '';
    },
  };
}

/**
 * A PostgreSQL server, and a directory of this machine.
 *
 * @param serverUrl `DATABASE_URL`.
 * @param home `COUNTERSIGN_HOME`.
 */
export function serverPlace(prefix: string, serverUrl: string, home: string): Place {
  const urlOf = (name: Name) => Object.assign(new URL(serverUrl), { pathname: `/${prefix}_${name}` }).href;
  const inDatabases = databasesAt(([program = '', ...args], files) => run(program, args, files), urlOf);
  const attachments = 'data/complaint-attachments';
  return {
    ...inDatabases,
    packAttachments(file) {
      const paths = existsSync(join(home, attachments)) ? [attachments] : ['-T', '/dev/null'];
      run('tar', ['-c', '-C', home, ...paths], { to: file });
    },
    unpackAttachments(file) {
      run('mkdir', ['-p', '-m', '700', home]);
      run('rm', ['-rf', join(home, attachments)]);
      run('tar', ['-x', '-C', home], { from: file });
    },
    keys: {
      root: home,
      paths: ['secrets', 'service-keys', 'gateway-keys', 'agreement-keys', 'complaint-webhook.key'],
    },
    async prepare() {
      for (const name of databaseNames) await provision(serverUrl, { ...databases[name], name: `${prefix}_${name}` });
    },
    stop() {
      for (const name of databaseNames) {
        const used = `select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`;
        if (inDatabases.ask(name, used) !== '0')
          throw new Error(`${prefix}_${name} is in use: stop the services first`);
      }
    },
    start: () => 'Now start the services.\n',
  };
}
