import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';

test('the images build, contain only what they need, and run read-only as an unprivileged user, also for arm64', () => {
  const script = resolve(import.meta.dirname, 'try-image.sh');
  const { status, stdout, stderr } = spawnSync('bash', [script], { encoding: 'utf8', maxBuffer: 2 ** 26 });
  expect([status, status === 0 ? '' : `${stdout}\n${stderr}`]).toEqual([0, '']);
  expect(stdout).toContain('all images work: gateway auth-service users-service complaint-service');
  if (process.arch === 'x64') expect(stdout).toMatch(/bcrypt arm64 true\n.*sharp arm64 true\n/s);
}, 1_500_000);
