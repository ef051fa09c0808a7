import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { saferNodeRelease } from '../../packages/process-kit/src/process/node-release.ts';

const repository = resolve(import.meta.dirname, '../..');
const place = mkdtempSync(join(tmpdir(), 'countersign-system-node-'));
afterAll(() => rmSync(place, { recursive: true }));

/** Writes a program that says it is this version of Node.js, and what it was started with. */
function nodeIn(directory: string, version: string): string {
  const path = join(place, directory);
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, 'node'), `#!/bin/sh\n[ "$1" = --version ] && echo v${version} || echo "system: $*"\n`);
  chmodSync(join(path, 'node'), 0o755);
  return path;
}

const ownLacksFixes = saferNodeRelease(process.versions.node) !== undefined;

test.each([
  ['a newer one', '99.1.0', true],
  ['an older line with security fixes that this one lacks', '24.22.1', ownLacksFixes],
  ['an older one without them', '24.0.0', false],
  ['the same one', process.versions.node, false],
  ['one that is not supported', '25.9.0', false],
  ['one that is too old', '20.20.2', false],
  ['none', 'what', false],
])('npm start with %s of the system (%s)', (_what, version, isTaken) => {
  const script = join(place, 'start.ts');
  writeFileSync(script, 'const word: string = process.argv[2] ?? ""; console.log("own:", word);\n');
  const args = ['--import', './infra/run/node-version.js', '--conditions=source', script, 'word'];
  const path = [nodeIn('a/node_modules/.bin', '99.9.9'), nodeIn(version, version), '/nowhere'].join(':');
  const { stdout } = spawnSync(process.execPath, args, {
    cwd: repository,
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '', PATH: path },
  });
  expect(stdout).toBe(isTaken ? `system: ${args.join(' ')}\n` : 'own: word\n');
});
