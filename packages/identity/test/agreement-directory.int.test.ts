import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { startProcess } from '@countersign/testing';
import { expect, test } from '@jest/globals';

test('instances that start at the same time share one key', async () => {
  const home = mkdtempSync(join(tmpdir(), 'countersign-agreement-'));
  const source = resolve(import.meta.dirname, '../src/keys/agreement-keys.ts');
  const program = `import('${source}').then(({ openAgreementKeys }) => {
    const keys = openAgreementKeys({ keys: '${join(home, 'keys')}' }, 'orders');
    process.stdout.write(keys.published().map(({ kid }) => kid).join());
  })`;
  const instances = Array.from({ length: 5 }, () => startProcess({ args: ['-e', program] }));
  expect(await Promise.all(instances.map(({ exited }) => exited))).toEqual([0, 0, 0, 0, 0]);
  expect(new Set(instances.map((instance) => instance.output())).size).toBe(1);
  expect(readdirSync(join(home, 'keys'))).toEqual(['agreement-1.jwk.json']);
  rmSync(home, { recursive: true });
});
