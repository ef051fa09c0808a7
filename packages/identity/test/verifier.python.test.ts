import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';

const directory = resolve(import.meta.dirname, '../../../examples/verifiers/python');

// jest.config.js looks for a Python with `cryptography`, and skips this file if there is none.
test.each(['run_vectors.py', 'run_agreed_vectors.py', 'run_nested_vectors.py'])(
  'the reference verifier in Python passes %s',
  (script) => {
    const python = process.env.VERIFIER_PYTHON ?? '';
    const { status, stdout, stderr } = spawnSync(python, [resolve(directory, script)], { encoding: 'utf8' });
    expect([status, stderr, stdout.trim()]).toEqual([0, '', expect.stringMatching(/^\d{2,} passed, 0 failed$/)]);
  },
);

test('the reference verifier in Python refuses to start with a secret of 31 bytes', () => {
  const program = 'from verifier import Verifier; Verifier("my-service", {"keys": []}, {"k": bytes(31)}, 0)';
  const { status, stderr } = spawnSync(process.env.VERIFIER_PYTHON ?? '', ['-c', program], {
    cwd: directory,
    encoding: 'utf8',
  });
  expect([status, stderr]).toEqual([1, expect.stringContaining('ValueError: a secret needs 32 bytes or more')]);
});
