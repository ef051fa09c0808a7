import { spawnSync } from 'node:child_process';
import { expect, test } from '@jest/globals';
import { python, pythonEnv, pythonPackage } from '../../stacks/languages.ts';

test('countersign-identity passes its own tests, which run every vector', () => {
  const { status, stdout } = spawnSync(python, ['-m', 'pytest', '-q', '-p', 'no:cacheprovider'], {
    cwd: pythonPackage,
    env: { ...process.env, ...pythonEnv },
    encoding: 'utf8',
  });
  expect(status === 0 ? '' : stdout).toBe('');
  expect(stdout).toMatch(/\d{3,} passed/);
});
