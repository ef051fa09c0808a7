import { existsSync, openAsBlob, readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';

/**
 * Returns an empty PGlite as `dumpDataDir` writes it. Without it, every suite would spend a second creating one. Kept in the temporary
 * directory under PGlite's version.
 */
export async function emptyPglite(): Promise<Blob> {
  const file = join(tmpdir(), `countersign-empty-pglite-${versionOfPglite()}-${userInfo().uid}.tar`);
  if (!existsSync(file)) await writeEmpty(file);
  return openAsBlob(file);
}

async function writeEmpty(file: string): Promise<void> {
  const pglite = await PGlite.create();
  const dump = await pglite.dumpDataDir('none');
  await pglite.close();
  // Write atomically, because other suites may read the file at the same time.
  const made = `${file}.${process.pid}`;
  await writeFile(made, Buffer.from(await dump.arrayBuffer()), { mode: 0o600 });
  await rename(made, file);
}

function versionOfPglite(): string {
  let directory = dirname(createRequire(import.meta.url).resolve('@electric-sql/pglite'));
  while (!existsSync(join(directory, 'package.json'))) directory = dirname(directory);
  return (JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as { version: string }).version;
}
