import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';

type Cost = Readonly<{ median: number; best: number }>;

test('a service verifies a request with an agreed key in at most 25 µs, four times as fast as with ed25519', () => {
  const program = fileURLToPath(new URL('./measure-verification.ts', import.meta.url));
  const output = execFileSync(process.execPath, ['--expose-gc', '--conditions=source', program], {
    env: { ...process.env, NODE_OPTIONS: '' },
  }).toString();
  process.stdout.write(output);
  const costs = JSON.parse(output) as Readonly<Record<string, Cost>>;
  // Other load on the machine only adds time.
  const best = (name: string) => costs[name]?.best ?? Number.NaN;
  expect(best('agreed')).toBeLessThan(25);
  expect(best('agreed, Express') - best('Express alone')).toBeLessThan(30);
  expect(best('agreed')).toBeLessThan(best('ed25519') / 4);
  expect(best('response, stripResponse') - best('response')).toBeLessThan(1);
});
