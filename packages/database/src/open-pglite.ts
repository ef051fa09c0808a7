import { chmodSync, mkdirSync } from 'node:fs';
import { StartupError } from '@countersign/service-kit';
import { PGlite } from '@electric-sql/pglite';
import { Kysely, PGliteDialect, sql } from 'kysely';
import { lockFile } from './lock-file.ts';
import type { Opened } from './open-postgres.ts';

const int8 = 20;

/** In a directory; or in memory, then perhaps beginning as a copy (PGlite's `dumpDataDir`) of one, which takes a quarter of the time. */
export type PgliteLocation = Readonly<{ dataDir: string }> | Readonly<{ dataDir: undefined; copyOf?: Blob }>;

/** Real Postgres inside this process, for development and tests. */
export async function openPglite<Schema>(location: PgliteLocation, roles: readonly string[]): Promise<Opened<Schema>> {
  const { dataDir } = location;
  if (dataDir !== undefined) makePrivate(dataDir);
  // PGlite opens a directory twice without a word and then corrupts it.
  const unlock = dataDir === undefined ? () => {} : lockFile(`${dataDir}.lock`);
  let pglite: PGlite;
  try {
    const files = dataDir !== undefined ? { dataDir } : location.copyOf && { loadDataDir: location.copyOf };
    pglite = await PGlite.create({ ...files, parsers: { [int8]: Number } });
  } catch (error) {
    unlock();
    throw new StartupError(`database: cannot open ${dataDir ?? 'in memory'}: ${(error as Error).message}`, {
      cause: error,
    });
  }
  const kysely = new Kysely<Schema>({ dialect: new PGliteDialect({ pglite }) });
  for (const role of roles) {
    await sql`do ${sql.raw(`$$ begin create role ${role} nologin; exception when duplicate_object then null; end $$`)}`.execute(
      kysely,
    );
  }
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

/** PGlite writes files that anybody may read and write, whatever the umask: the directory is what keeps them out. */
function makePrivate(dataDir: string): void {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  chmodSync(dataDir, 0o700);
}
