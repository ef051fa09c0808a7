import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';

// `npm start` runs `node create-data-dirs.ts DIRECTORY...` before the services. PGlite's initdb takes more CPU time
// than the rest of a service's first start, and copying its result takes a tenth of a second.

const dataDirs = process.argv.slice(2);
const parent = dirname(dataDirs[0] ?? '');
mkdirSync(parent, { recursive: true, mode: 0o700 });
const made = mkdtempSync(join(parent, 'new-'));
try {
  const original = join(made, 'original');
  const pglite = await PGlite.create(original);
  await pglite.close();
  for (const [at, dataDir] of dataDirs.entries()) {
    const copy = join(made, String(at));
    cpSync(original, copy, { recursive: true });
    // A directory appears completely or not at all, even if the disk is full or the process is killed.
    renameSync(copy, dataDir);
  }
} finally {
  rmSync(made, { recursive: true });
}
