import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, expect, test } from '@jest/globals';

const root = resolve(import.meta.dirname, '../../..');
const directory = mkdtempSync(join(tmpdir(), 'countersign-node-version-'));
afterAll(() => rmSync(directory, { recursive: true }));

const old = ['node20', '/usr/bin/node', 'node'].find((node) => {
  const { stdout } = spawnSync(node, ['--version'], { encoding: 'utf8' });
  return /^v20\./.test(stdout ?? '');
});
const needs = (version: string) =>
  `Countersign needs Node.js 22 (from 22.19), 24, or 26 and later, but this is ${version}`;

test.each(['packages/jwks/src/index.ts', 'packages/identity/src/index.ts', 'packages/signals/src/index.ts'])(
  '%s: an import on a Node.js without Promise.withResolvers says which one is needed',
  (entry) => {
    const script = `delete Promise.withResolvers; await import(${JSON.stringify(pathToFileURL(join(root, entry)).href)})`;
    const args = ['--conditions=source', '--input-type=module', '-e', script];
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', cwd: root });
    expect([status, stderr]).toEqual([1, expect.stringContaining(`Error: ${needs(process.version)}\n`)]);
  },
);

(old === undefined ? test.skip : test)('Node.js 20 can read the guard, and the command line says the same', () => {
  const node = old ?? '';
  const version = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim();
  const guard = join(directory, 'node-version.mjs');
  const source = readFileSync(join(root, 'packages/jwks/src/node-version.ts'), 'utf8');
  writeFileSync(guard, stripTypeScriptTypes(source));
  expect(spawnSync(node, [guard], { encoding: 'utf8' }).stderr).toContain(`Error: ${needs(version)}\n`);
  // As in the package, which contains no src/.
  const bin = join(directory, 'countersign.mjs');
  writeFileSync(bin, readFileSync(join(root, 'gateway/bin/countersign.js')));
  const { status, stderr } = spawnSync(node, [bin, 'check'], { encoding: 'utf8' });
  expect([status, stderr]).toEqual([1, expect.stringContaining(needs(version).replace('Countersign', 'countersign:'))]);
});
