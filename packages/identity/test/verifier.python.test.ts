import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';

const script = resolve(import.meta.dirname, '../../../examples/verifiers/python/run_vectors.py');

// jest.config.js looks for a Python with `cryptography` and leaves this file out where there is none.
test('the reference verifier in Python passes every vector', () => {
  const { status, stdout, stderr } = spawnSync(process.env.VERIFIER_PYTHON ?? '', [script], { encoding: 'utf8' });
  expect([status, stderr, stdout.trim()]).toEqual([0, '', expect.stringMatching(/^\d{3,} passed, 0 failed$/)]);
});
