import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

const repository = resolve(import.meta.dirname, '../../..');
const out = mkdtempSync(join(tmpdir(), 'countersign-collected-'));
const node = (cwd: string, ...args: readonly string[]) =>
  execFileSync(process.execPath, args, { cwd, encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '' } });

beforeAll(() => {
  const env = { ...process.env, NODE_OPTIONS: '' };
  execFileSync('npm', ['run', 'build'], { cwd: repository, env });
  node(repository, 'infra/ship/docker/collect.ts', out, 'gateway');
}, 300_000);
afterAll(() => rmSync(out, { recursive: true }));

// The gateway of an image once read a file at its start that only the repository contains.
test("an image's files are enough to start the gateway, and to test a service", () => {
  const image = join(out, 'gateway');
  expect(node(image, 'gateway/dist/main.js', '--help')).toContain('serve');
  // Reads the vectors.
  const load = "console.log(Object.keys(await import('./gateway/dist/conformance/index.js')))";
  expect(node(image, '--input-type=module', '-e', load)).toContain('runConformance');
});
