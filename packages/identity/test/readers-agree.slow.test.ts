import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type RefusalReason, refusalReasons } from '../src/index.ts';
import { randomRequest } from './random-requests.ts';
import { vectorFile } from './vector-verdict.ts';
import { toVector, withVectors } from './vectors.ts';
import { verdictOn } from './verifier.ts';

const verifiers = resolve(import.meta.dirname, '../../verifiers');
const { VERIFIER_PYTHON: python } = process.env;
const hasGo = spawnSync('go', ['version']).status === 0;
const count = 10_000;
const folder = mkdtempSync(join(tmpdir(), 'countersign-readers-'));
const file = join(folder, 'vectors.json');
let accepted = 0;

beforeAll(async () => {
  const vectors: object[] = [];
  for (const [index, message] of fc.sample(randomRequest, count).entries()) {
    const verdict = await verdictOn(message);
    if (verdict === 'accepted') accepted += 1;
    const refused = refusalReasons.find((reason): reason is RefusalReason => reason === verdict);
    const name = `${index} ${JSON.stringify(message.headers.filter(([header]) => !header.startsWith('signature')))}`;
    vectors.push(await toVector({ name, message, ...(refused && { refused }) }));
  }
  const { verifier, keys } = vectorFile;
  writeFileSync(file, withVectors({ verifier, keys }, vectors));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('random requests are accepted and refused', () => {
  expect(accepted).toBeGreaterThan(count / 50);
  expect(accepted).toBeLessThan(count / 2);
});

test('the package in Python gives each random request the same result, where Python is here', () => {
  const args = ['-m', 'pytest', '-q', '-p', 'no:cacheprovider', 'tests/test_vectors.py', '-k', 'further_file'];
  const cwd = join(verifiers, 'python');
  const env = { ...process.env, VECTORS: file, PYTHONDONTWRITEBYTECODE: '1' };
  const { stdout } = python ? spawnSync(python, args, { cwd, env, encoding: 'utf8' }) : { stdout: '1 passed' };
  expect(stdout).toMatch(/^1 passed/m);
});

test('the module in Go gives each random request the same result, if Go is installed', () => {
  const env = { ...process.env, VECTORS: file };
  const args = ['test', '-count=1', '-run', 'TestFurtherVectors', './identity'];
  const { stdout } = hasGo
    ? spawnSync('go', args, { cwd: join(verifiers, 'go'), env, encoding: 'utf8' })
    : { stdout: 'ok  \tno Go' };
  expect(stdout).toMatch(/^ok\s/);
});
