import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';

const source = join(import.meta.dirname, '..');
const files = readdirSync(source, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
  .map((name) => ({ name, text: readFileSync(join(source, name), 'utf8') }));

describe('the types that a request gains', () => {
  test.each([
    ['Incoming', 'stages/sanitize.ts'],
    ['Matched', 'stages/match.ts'],
    ['Authenticated', 'stages/as-caller.ts'],
    ['Permitted', 'stages/authorize.ts'],
    ['Admitted', 'stages/limit.ts'],
    ['Signed', 'stages/sign.ts'],
  ])('only its own stage makes a %s', (type, file) => {
    const makers = files.filter(({ text }) => new RegExp(` as ${type}\\b`).test(text));
    expect(makers.map(({ name }) => name)).toEqual([file]);
  });

  test('nothing in the gateway casts around them', () => {
    const casters = files.filter(({ text }) => /\bas (?:unknown as|any\b|never\b)/.test(text));
    expect(casters.map(({ name }) => name)).toEqual([]);
  });

  test('the straight line stays under 80 lines', () => {
    const pipeline = files.find(({ name }) => name === 'pipeline.ts');
    expect(pipeline?.text.split('\n').length).toBeLessThan(80);
  });
});
