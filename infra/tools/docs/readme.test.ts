import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { loadConfig } from '../../../gateway/src/config/load.ts';

const readme = readFileSync(resolve(import.meta.dirname, '../../../README.md'), 'utf8');
const blockOf = (language: string) =>
  (new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(readme)?.[1] ?? '').split('\n').filter(Boolean);

// infra/prove/e2e/first-half-hour.slow.test.ts runs the commands, and the service in its ten lines.
test('the service in README.md has ten lines', () => {
  expect(blockOf('js')).toHaveLength(10);
});

test('the gateway.yaml in README.md has eight lines and loads', () => {
  const lines = blockOf('yaml');
  expect(lines).toHaveLength(8);
  const directory = mkdtempSync(join(tmpdir(), 'countersign-readme-'));
  try {
    const file = join(directory, 'gateway.yaml');
    writeFileSync(file, lines.join('\n'));
    expect(loadConfig(file, {}).routes).toMatchObject([
      { name: 'hello', path: '/hello', upstream: { name: 'my-service' } },
    ]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('the comparison in README.md has six rows', () => {
  const [, table = ''] = /^\|---(.*?)\n\n/ms.exec(readme) ?? [];
  expect(table.split('\n').slice(1)).toHaveLength(6);
});
