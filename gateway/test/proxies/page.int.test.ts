import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { runCli } from '../../src/cli/cli.ts';

const page = readFileSync(resolve(import.meta.dirname, '../../../docs/behind-a-proxy.md'), 'utf8');

test('check accepts the file of init with the settings of docs/behind-a-proxy.md', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'countersign-page-'));
  const file = join(directory, 'gateway.yaml');
  const lines: string[] = [];
  const run = (...args: readonly string[]) =>
    runCli(args, {
      out: (line) => void lines.push(line),
      err: (line) => void lines.push(line),
      paint: (_style, text) => text,
      isInteractive: false,
      env: {},
      nowMs: Date.now,
    });
  const origins = ['--issuer', 'http://127.0.0.1:4000', '--upstream', 'http://127.0.0.1:3000'];
  await run('init', ...origins, '--dir', directory);
  const [settings = '', route = ''] = [...page.matchAll(/```yaml\n(.*?)```/gs)].map(([, text]) => text ?? '');
  const [, listen = '', decision = ''] = /^listen:\n(.*\n)(decision: .*\n)$/.exec(settings) ?? [];
  const written = readFileSync(file, 'utf8');
  const merged = written.replace('listen:\n', `${decision}listen:\n${listen}`).replace(/ +- \{ name: api.*\n/, route);
  expect([merged.includes('proxy: nginx'), merged.includes('unsigned: accept')]).toEqual([true, true]);
  writeFileSync(file, merged);
  writeFileSync(
    join(directory, 'decision-secret'),
    'a-secret-of-the-proxy-with-64-characters-of-which-none-is-random',
    {
      mode: 0o600,
    },
  );
  lines.length = 0;
  expect([await run('check', '--config', file), lines]).toEqual([0, [expect.stringContaining('1 route')]]);
  rmSync(directory, { recursive: true });
});
