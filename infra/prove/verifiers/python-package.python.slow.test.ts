import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { python, pythonEnv, pythonPackage } from '../../stacks/languages.ts';
import { repository } from '../../stacks/stack.ts';

/** Runs a program, and returns its output. @throws Error with the output, unless it exits with 0. */
function run(command: string, args: readonly string[], cwd = pythonPackage): string {
  const env = { ...process.env, ...pythonEnv };
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: exit code ${status}\n${stdout}\n${stderr}`);
  return stdout;
}

test('every weakening of countersign-identity is found by some vector', () => {
  expect(run(python, ['tests/weakenings.py'])).toMatch(/^(\d{3}) of \1 weakenings are found$/m);
});

test('the wheel and the sdist build from the folder, and the wheel installs', () => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-wheel-'));
  try {
    run(python, ['-m', 'build', '--no-isolation', '--outdir', folder]);
    const files = globSync('*', { cwd: folder }).sort();
    const { version } = JSON.parse(readFileSync(resolve(repository, 'gateway/package.json'), 'utf8'));
    const sdist = `countersign_identity-${version}.tar.gz`;
    expect(files).toEqual([`countersign_identity-${version}-py3-none-any.whl`, sdist]);
    const inSdist = run('tar', ['tzf', join(folder, sdist)])
      .trim()
      .split('\n');
    const expected = ['LICENSE', 'PKG-INFO', 'README.md', 'py.typed', 'pyproject.toml', 'verifier.py'];
    const data = ['published.txt', 'redis_claim.lua'];
    expect(inSdist.map((file) => basename(file))).toEqual(expect.arrayContaining([...expected, ...data]));
    run(python, ['-m', 'venv', '--system-site-packages', join(folder, 'venv')]);
    const installed = join(folder, 'venv/bin/python3');
    const wheel = join(folder, files[0] ?? '');
    run(installed, ['-m', 'pip', 'install', '--quiet', '--no-index', '--no-deps', wheel]);
    const show = 'import countersign_identity.redis, importlib.resources as r; print(r.files(countersign_identity))';
    const env = { ...process.env, PYTHONPATH: '' };
    const { stdout } = spawnSync(installed, ['-c', show], { cwd: folder, env, encoding: 'utf8' });
    expect(stdout).toContain(join(folder, 'venv'));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
