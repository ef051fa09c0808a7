import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { go, goEnv, goModule, hasGo } from '../../stacks/languages.ts';
import { goWeakenings } from './go-weakenings.ts';

const sources = globSync(resolve(goModule, '**/*.go')).filter((file) => !file.endsWith('_test.go'));

(hasGo ? describe : describe.skip)('the module in Go', () => {
  let home: string;
  beforeAll(() => {
    home = mkdtempSync(join(tmpdir(), 'countersign-go-'));
  });
  afterAll(() => rmSync(home, { recursive: true }));

  test('passes its tests under the race detector', () => {
    expect(go('packages/verifiers/go', 'test', '-race', './...')).toMatch(/^ok\s/);
  });

  test('signs and verifies 10,000 requests in a second of one core', () => {
    const arguments_ = ['-run', 'nothing', '-bench', '/agreed', './identity/identitytest'];
    const output = go('packages/verifiers/go', 'test', ...arguments_);
    const [, rate] = /([\d.]+) requests\/cpu-s/.exec(output) ?? [];
    expect(Number(rate)).toBeGreaterThan(10_000);
  });

  test.each(goWeakenings)('fails its tests without: %s', (_name, from, to) => {
    const found = sources.filter((file) => readFileSync(file, 'utf8').includes(from));
    const [path = '', source = ''] = found.map((file) => [file, readFileSync(file, 'utf8')] as const)[0] ?? [];
    expect([found, source.split(from).length]).toEqual([[path], 2]);
    writeFileSync(
      join(home, 'changed.go'),
      source.replace(from, () => to),
    );
    writeFileSync(join(home, 'overlay.json'), JSON.stringify({ Replace: { [path]: join(home, 'changed.go') } }));
    const overlay = ['-vet=off', '-failfast', '-overlay', join(home, 'overlay.json')];
    const outputOf = (...more: readonly string[]) =>
      spawnSync('go', ['test', ...overlay, ...more, './...'], { cwd: goModule, env: goEnv, encoding: 'utf8' }).stdout;
    const isFound = (output: string) => /^(--- FAIL|panic):?/m.test(output) && !output.includes('[build failed]');
    // The vectors over sockets take longest, and few faults need them.
    const output = outputOf('-skip', 'TestVectorsOverSockets');
    expect([output, isFound(output) || isFound(outputOf())]).toEqual([output, true]);
  });
});
