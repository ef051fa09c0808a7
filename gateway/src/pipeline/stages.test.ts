import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';

const source = join(import.meta.dirname, '..');
const files = readdirSync(source, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
  .map((name) => ({ name, text: readFileSync(join(source, name), 'utf8') }));

describe('stage types', () => {
  test.each([
    ['Incoming', 'pipeline/sanitize.ts'],
    ['Matched', 'pipeline/route.ts'],
    ['Authenticated', 'pipeline/authenticate.ts'],
    ['Permitted', 'pipeline/route.ts'],
    ['Admitted', 'pipeline/limit.ts'],
    ['Signed', 'pipeline/sign.ts'],
  ])('%s is cast only in its own stage', (type, file) => {
    const makers = files.filter(({ text }) => new RegExp(` as ${type}\\b`).test(text));
    expect(makers.map(({ name }) => name)).toEqual([file]);
  });

  test('no cast in the gateway bypasses the stages', () => {
    const casters = files.filter(({ text }) => /\bas (?:unknown as|any\b|never\b)/.test(text));
    expect(casters.map(({ name }) => name)).toEqual([]);
  });

  test('pipeline.ts stays under 80 lines', () => {
    const pipeline = files.find(({ name }) => name === 'pipeline/pipeline.ts');
    expect(pipeline?.text.split('\n').length).toBeLessThan(80);
  });
});
