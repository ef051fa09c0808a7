import { createHash } from 'node:crypto';
import { existsSync, openAsBlob, readFileSync } from 'node:fs';
import { link, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { type OpenOptions, openDatabase } from '@countersign/database';
import { PGlite } from '@electric-sql/pglite';

// Postgres reserves its buffers page by page at each start, and a test's data fits into 4 MB.
const postgresqlconf = ['shared_buffers=4MB'];

/**
 * Returns a migrated PGlite as a `dumpDataDir` file, so that suites need neither initdb nor migrations. The temporary
 * directory keeps a file for each PGlite version and list of migrations.
 */
export async function migratedPglite(options: Omit<OpenOptions, 'location' | 'name'>): Promise<Blob> {
  const { login, roles, migrations } = options;
  const content = JSON.stringify([versionOfPglite(), postgresqlconf, login, roles, migrations]);
  const file = templateFile(createHash('sha256').update(content).digest('hex').slice(0, 16));
  if (!existsSync(file)) await inDirectory((dataDir) => writeMigrated(file, dataDir, options));
  return openAsBlob(file);
}

async function writeMigrated(file: string, dataDir: string, options: Omit<OpenOptions, 'location' | 'name'>) {
  const empty = templateFile(`empty-${versionOfPglite()}`);
  if (!existsSync(empty)) await writeDump(empty, await PGlite.create({ postgresqlconf }));
  const pglite = await PGlite.create({ dataDir, loadDataDir: await openAsBlob(empty) });
  await pglite.close();
  const db = await openDatabase({ ...options, location: { dataDir }, name: 'template' });
  await db.close();
  await writeDump(file, await PGlite.create({ dataDir }));
}

/** Writes the file at once, unless another suite has: a Blob of a replaced file cannot be read. */
async function writeDump(file: string, pglite: PGlite): Promise<void> {
  const dump = await pglite.dumpDataDir('none');
  await pglite.close();
  const partial = `${file}.${process.pid}`;
  await writeFile(partial, Buffer.from(await dump.arrayBuffer()), { mode: 0o600 });
  await link(partial, file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  await rm(partial);
}

async function inDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'countersign-pglite-'));
  try {
    await work(join(directory, 'data'));
  } finally {
    await rm(directory, { recursive: true });
  }
}

const templateFile = (key: string) => join(tmpdir(), `countersign-pglite-${userInfo().uid}-${key}.tar`);

function versionOfPglite(): string {
  let directory = dirname(createRequire(import.meta.url).resolve('@electric-sql/pglite'));
  while (!existsSync(join(directory, 'package.json'))) directory = dirname(directory);
  return (JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as { version: string }).version;
}
