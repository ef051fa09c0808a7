import { describe, expect, test } from '@jest/globals';
import { parsePattern, shapeOf } from './path-pattern.ts';

describe('parsePattern', () => {
  test.each([
    ['v1', 'must begin with a slash'],
    ['', 'must begin with a slash'],
    ['/a//b', 'has an empty segment ("//")'],
    ['//a', 'has an empty segment ("//")'],
    ['/a/../b', 'has a dot segment'],
    ['/a/.', 'has a dot segment'],
    ['/**/a', 'has "**" before the end: only the last segment may be "**"'],
    ['/:a/:a', 'has ":a" twice'],
    ['/:', 'has the invalid parameter ":": write ":" and a name of letters, digits and "_"'],
    ['/:a-b', 'has the invalid parameter ":a-b": write ":" and a name of letters, digits and "_"'],
    [`/${'a/'.repeat(40)}`, 'has more than 32 segments'],
  ])('refuses %s', (pattern, problem) => {
    expect(parsePattern(pattern)).toBe(problem);
  });

  test.each(['/a*', '/*', '/a%20b', '/a b', '/(a|b)', '/a;b', '/é', '/a:b', '/***', '/{id}'])(
    'refuses %s: only unreserved characters have one spelling',
    (pattern) => {
      expect(parsePattern(pattern)).toMatch(/has the invalid segment/);
    },
  );

  test.each([
    ['/', ''],
    ['/a/', 'a/'],
    ['/a/:id/**', 'a/:/**'],
    ['/.well-known/jwks.json', '.well-known/jwks.json'],
  ])('reads %s', (pattern, shape) => {
    const segments = parsePattern(pattern);
    expect(typeof segments === 'string' ? segments : shapeOf(segments)).toBe(shape);
  });
});
