import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { StartupError } from '@countersign/process-kit';
import { PGlite } from '@electric-sql/pglite';
import { Kysely, PGliteDialect, sql } from 'kysely';
import { traceQuery } from './database.ts';
import type { Opened } from './open-postgres.ts';

const int8 = 20;

/**
 * A directory or memory. In memory it can start from a copy (PGlite's `dumpDataDir`), which takes a quarter of the
 * time.
 */
export type PgliteLocation = Readonly<{ dataDir: string }> | Readonly<{ dataDir: undefined; copyOf?: Blob }>;

/** Opens a Postgres inside this process, for development and tests. */
export async function openPglite<Schema>(location: PgliteLocation): Promise<Opened<Schema>> {
  const { dataDir } = location;
  if (dataDir !== undefined) makePrivate(dataDir);
  // PGlite would open a directory twice without an error, and corrupt it.
  const unlock = dataDir === undefined ? () => {} : lockFile(`${dataDir}.lock`);
  const isNew = dataDir !== undefined && readdirSync(dataDir).length === 0;
  let pglite: PGlite;
  try {
    const files = dataDir !== undefined ? { dataDir } : location.copyOf && { loadDataDir: location.copyOf };
    pglite = await PGlite.create({ ...files, parsers: { [int8]: Number } });
  } catch (error) {
    // A database that was created only partially, for example on a full disk, could never be opened.
    if (isNew) rmSync(dataDir, { recursive: true, force: true });
    unlock();
    throw new StartupError(`database: cannot open ${dataDir ?? 'in memory'}: ${whyNot(error)}`, {
      cause: error,
    });
  }
  const kysely = new Kysely<Schema>({ dialect: new PGliteDialect({ pglite }), log: traceQuery });
  return {
    kysely,
    driver: {
      kind: 'pglite',
      listen: (channel, onNotify) => pglite.listen(channel, onNotify),
      async close() {
        await kysely.destroy();
        if (!pglite.closed) await pglite.close();
        unlock();
      },
    },
  };
}

/** Creates missing roles, as `provision` does on a server. */
export async function createRoles(kysely: Kysely<unknown>, roles: readonly string[]): Promise<void> {
  for (const role of roles) {
    await sql`do ${sql.raw(`$$ begin create role ${role} nologin; exception when duplicate_object then null; end $$`)}`.execute(
      kysely,
    );
  }
}

/** PGlite's file system errors have no message, only a WASI number (`errno` of preview 1). */
const wasiErrors = new Map([
  [2, 'EACCES'],
  [19, 'EDQUOT'],
  [22, 'EFBIG'],
  [29, 'EIO'],
  [33, 'EMFILE'],
  [51, 'ENOSPC'],
  [63, 'EPERM'],
  [69, 'EROFS'],
]);

function whyNot(error: unknown): string {
  const { message, errno } = error as { message?: string; errno?: number };
  return message || (wasiErrors.get(errno ?? 0) ?? `error ${errno} of its file system`);
}

/** Restricts the directory to this user, because PGlite writes world-writable files despite the umask. */
function makePrivate(dataDir: string): void {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  chmodSync(dataDir, 0o700);
}

/**
 * Locks a directory for this process, or takes over the lock of a process that has ended (kill -9, power cut).
 *
 * @returns A function that releases the lock.
 * @throws StartupError if a running process holds the lock, or the lock file cannot be written.
 */
function lockFile(path: string): () => void {
  for (let attempt = 0; attempt < 2; attempt += 1) {
    try {
      writeFileSync(path, String(process.pid), { flag: 'wx' });
      return () => rmSync(path, { force: true });
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== 'EEXIST') {
        rmSync(path, { force: true });
        throw new StartupError(`database: cannot write ${path}: ${message}`, { cause: error });
      }
    }
    const holder = Number(readFileSync(path, 'utf8'));
    if (isAlive(holder)) throw new StartupError(`database: ${path} is held by the running process ${holder}`);
    rmSync(path, { force: true });
  }
  throw new StartupError(`database: ${path} is being taken by another process`);
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  if (pid === process.pid) return true;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
