import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';

const directory = resolve(import.meta.dirname, '../../../examples/verifiers/python');

// jest.config.js looks for a Python with `cryptography` and leaves this file out where there is none.
test.each(['run_vectors.py', 'run_agreed_vectors.py'])('the reference verifier in Python passes %s', (script) => {
  const python = process.env.VERIFIER_PYTHON ?? '';
  const { status, stdout, stderr } = spawnSync(python, [resolve(directory, script)], { encoding: 'utf8' });
  expect([status, stderr, stdout.trim()]).toEqual([0, '', expect.stringMatching(/^\d{3,} passed, 0 failed$/)]);
});
