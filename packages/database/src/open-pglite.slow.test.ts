import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openPglite } from './open-pglite.ts';

let home: string;
let dataDir: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'countersign-pglite-'));
  dataDir = join(home, 'data');
});
afterEach(() => rmSync(home, { recursive: true }));

/** Opens the database in a process with limited file sizes (in KiB), as on a full disk. */
function openWithin(kib: number) {
  const call = `import('${resolve(import.meta.dirname, 'open-pglite.ts')}').then((it) => it.openPglite({ dataDir: '${dataDir}' }))
    .catch((error) => { console.log(error.name, error.message); process.exit(1); })`;
  const limited = ['-c', `ulimit -f ${kib}; exec "$@"`, 'bash', process.execPath, '--conditions=source', '-e', call];
  const { status, stdout } = spawnSync('bash', limited, { encoding: 'utf8' });
  return [status, stdout];
}

test('reports a full disk, and the next start creates the database again', async () => {
  expect(openWithin(0)).toEqual([
    1,
    expect.stringMatching(/^StartupError database: cannot write .*data\.lock: EFBIG/m),
  ]);
  expect(openWithin(8)).toEqual([
    1,
    expect.stringMatching(/^StartupError database: cannot open .*data: (?!undefined)/m),
  ]);
  expect(readdirSync(home)).toEqual([]);
  const { driver } = await openPglite({ dataDir });
  await driver.close();
});
