import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { foldPath, foldPattern, parsePattern, type Segment } from './path-pattern.ts';

// Unicode's letters, marks and compatibility forms; later planes have none.
const everyCharacter = Array.from({ length: 0x30000 }, (_, code) => code).filter(
  (code) => code < 0xd800 || code > 0xdfff,
);

describe('foldPath', () => {
  test.each([
    ['upper case', '/REPORTS/Q3', ['reports', 'q3']],
    ['a slash at the end', '/reports/', ['reports']],
    ['the root', '/', []],
    ['dots at the ends of a segment', '/.reports./..q3.', ['reports', 'q3']],
    ['dots inside a segment', '/a.b/c', ['a.b', 'c']],
    ['spaces at the end', '/reports%20/%20', ['reports']],
    ['a no-break space', '/reports%C2%A0', ['reports']],
    ['a control character, encoded twice', '/reports%2509', ['reports']],
    ['an empty segment inside', '/a/%20/b', ['a', '', 'b']],
    ['the Kelvin sign', '/%E2%84%AAeys', ['keys']],
    ['a long s', '/%C5%BFecret', ['secret']],
    ['a dotted capital I', '/adm%C4%B0n', ['admin']],
    ['a dotless i', '/adm%C4%B1n', ['admin']],
    ['full-width letters', '/%EF%BC%A1%EF%BD%84min', ['admin']],
    ['a mathematical letter', '/%F0%9D%90%9Admin', ['admin']],
    ['a ligature', '/o%EF%AC%83ce', ['office']],
    ['sharp s', '/pa%C3%9F', ['pass']],
    ['a capital sharp s', '/pa%E1%BA%9E', ['pass']],
    ['an accent', '/r%C3%A9ports', ['reports']],
    ['a combining accent', '/re%CC%81ports', ['reports']],
    ['a zero-width joiner', '/re%E2%80%8Dports', ['reports']],
    ['a soft hyphen', '/re%C2%ADports', ['reports']],
    ['a variation selector', '/reports%EF%B8%8F', ['reports']],
    ['a letter encoded twice', '/%2561dmin', ['admin']],
    ['a letter encoded six times', '/%252525252561dmin', ['admin']],
    ['a full-width percent sign', '/%EF%BC%85%EF%BC%94%EF%BC%91dmin', ['admin']],
    ['a percent sign hidden by an accent', '/%25%CC%8161dmin', ['admin']],
    ['a slash encoded twice', '/a%252Fb', ['a', 'b']],
    ['a backslash encoded twice', '/a%255Cb', ['a', 'b']],
    ['a full-width slash', '/a%EF%BC%8Fb', ['a', 'b']],
    ['a parameter encoded twice', '/a%253Bx=1/b', ['a', 'b']],
    ['a full-width semicolon', '/a%EF%BC%9Bx/b', ['a', 'b']],
    ['a percent sign that encodes nothing', '/100%25', ['100%']],
    ['bytes that are not UTF-8, encoded twice', '/a%25ffb', ['a\ufffdb']],
  ])('reads %s', (_name, path, segments) => {
    expect(foldPath(path)).toEqual(segments);
  });

  test('folds each character once and for all, so that one repetition finds every spelling', () => {
    const changed = everyCharacter.filter((code) => {
      const [once = ''] = foldPath(`/a${encodeURIComponent(String.fromCodePoint(code))}a`);
      return foldPath(`/${encodeURIComponent(once)}`)[0] !== once && !/[/\\;]/.test(once);
    });
    expect(changed).toEqual([]);
  });

  const pieces = fc.constantFrom(
    'a',
    'B',
    '%25',
    '%41',
    '%2541',
    '%C4%B0',
    '%EF%BC%85',
    '41',
    '%20',
    '.',
    '%CC%81',
    '/x',
    '%C3%9F',
  );

  test('decodes and maps until nothing changes, as the model does', () => {
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
        const path = `/x${parts.join('')}`;
        expect(foldPath(path)).toEqual(model(path));
      }),
      { numRuns: 3000 },
    );
  });
});

/** The rule, step by step: every step on the whole path, again until nothing changes. */
function model(path: string): string[] {
  const step = (text: string) =>
    text
      .replace(/(?:%[0-9a-f]{2})+/gi, (bytes) => Buffer.from(bytes.replaceAll('%', ''), 'hex').toString())
      .normalize('NFKD')
      .replace(/[\p{M}\p{DI}]/gu, '')
      .toUpperCase()
      .toLowerCase();
  let text = path;
  while (step(text) !== text) text = step(text);
  const segments = text
    .split(/[/\\]/)
    .slice(1)
    .map((segment) => segment.replace(/;.*$/, '').replace(/^[.\s\p{Cc}]+|[.\s\p{Cc}]+$/gu, ''));
  return segments.slice(0, segments.findLastIndex((segment) => segment !== '') + 1);
}

test.each([
  ['/Keys/', '/keys'],
  ['/.well-known/JWKS.json', '/well-known/jwks.json'],
  ['/A/:Id/**', '/a/:Id/**'],
  ['/', '/'],
])('folds the pattern %s to %s', (pattern, folded) => {
  const parsed = parsePattern(folded) as readonly Segment[];
  expect(foldPattern(parsePattern(pattern) as readonly Segment[])).toEqual(folded === '/' ? [] : parsed);
});
