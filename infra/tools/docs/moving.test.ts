import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { runCli } from '../../../gateway/src/cli/cli.ts';

const page = readFileSync(resolve(import.meta.dirname, '../../../docs/moving-to-countersign.md'), 'utf8');
const files = [...page.matchAll(/^## (From .*)\n(?:(?!^## )[\s\S])*?^```yaml gateway\.yaml\n([\s\S]*?)^```$/gm)].map(
  ([, heading = '', yaml = '']) => [heading, yaml] as const,
);

test('each product in the migration guide has a gateway.yaml', () => {
  expect(files.map(([heading]) => heading)).toEqual(page.match(/(?<=^## )From .*$/gm));
});

test.each(files)('%s: `check` finds no problem and no warning, and its tests pass', async (_heading, yaml) => {
  const directory = mkdtempSync(join(tmpdir(), 'countersign-moving-'));
  const lines: string[] = [];
  const add = (line: string) => void lines.push(line);
  const run = (...args: string[]) =>
    runCli(args, {
      out: add,
      err: add,
      paint: (_style, text) => text,
      isInteractive: false,
      env: { DECISION_SECRET: randomBytes(32).toString('hex') },
      nowMs: Date.now,
    });
  try {
    const file = join(directory, 'gateway.yaml');
    writeFileSync(file, yaml);
    await run('keys', 'create', '--config', file);
    expect(await run('check', file)).toBe(0);
    expect(lines.join('\n')).not.toContain('warning');
    await run('test', file);
    expect(lines.at(-1)).toMatch(/^[1-9] passed, 0 failed$/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
