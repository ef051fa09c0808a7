import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { fastestMs } from '../../test/kit/fastest.ts';
import { AppError } from '../errors.ts';
import { maxRequestTargetBytes, rewritePath } from './request-target.ts';
import { parseRequestTarget } from './route-table.ts';

function codeOf(raw: string): string {
  try {
    parseRequestTarget(raw);
    return 'accepted';
  } catch (error) {
    if (error instanceof AppError) return error.code;
    throw error;
  }
}

describe('parseRequestTarget', () => {
  test.each([
    ['dot segments', '/public/../admin'],
    ['a single dot', '/./admin'],
    ['a dot at the end', '/admin/.'],
    ['two dots at the end', '/admin/..'],
    ['only two dots', '/..'],
    ['encoded dots', '/public/%2e%2e/admin'],
    ['one encoded dot', '/public/.%2E/admin'],
    ['two slashes', '//admin'],
    ['two slashes inside', '/a//admin'],
    ['two slashes at the end', '/a//'],
    ['a host after two slashes', '//x/api/secret'],
    ['an encoded slash', '/a%2fb'],
    ['an encoded slash in capitals', '/a%2Fb'],
    ['an encoded backslash', '/a%5cb'],
    ['a backslash', '/a\\b'],
    ['a backslash at the start', '/\\evil.test'],
    ['a path parameter', '/public/..;/admin'],
    ['a path parameter at the end', '/admin;a=b'],
    ['an encoded semicolon', '/admin%3ba'],
    ['an encoded NUL', '/a%00'],
    ['an encoded line feed', '/a%0ab'],
    ['an encoded DEL', '/a%7f'],
    ['an overlong dot', '/%c0%ae%c0%ae/admin'],
    ['bytes that are not UTF-8', '/%ff'],
    ['a surrogate', '/%ed%a0%80'],
    ['an IIS escape', '/%u002e'],
    ['a bad percent', '/%zz'],
    ['a lone percent', '/a%'],
    ['a truncated escape', '/a%4'],
    ['a signed escape', '/%+1'],
    ['an encoded letter', '/%61dmin'],
    ['an encoded letter inside', '/ad%6Din'],
    ['an encoded digit', '/a%31'],
    ['an encoded tilde', '/%7Eme'],
    ['an encoded hyphen', '/a%2Db'],
    ['absolute form', 'http://evil.test/api/a'],
    ['absolute form with two slashes', 'http://h//admin'],
    ['authority form', 'h:80'],
    ['userinfo', 'http://u:p@h/'],
    ['asterisk form', '*'],
    ['no slash', 'admin'],
    ['an empty target', ''],
    ['only a query', '?a'],
    ['a fragment', '/a#b'],
    ['a fragment in the query', '/a?b#c'],
    ['a space', '/a b'],
    ['a tab', '/a\tb'],
    ['a carriage return', '/a\rb'],
    ['a raw NUL', '/a\0b'],
    ['a raw DEL', '/a\x7fb'],
    ['a byte above ASCII', '/\xe9'],
    ['a full-width dot, raw', '/\uff0e\uff0e/admin'],
    ['a byte above ASCII in the query', '/a?\xe9'],
    ['an empty query', '/a?'],
    ['an encoded NUL in the query', '/a?b=%00'],
    ['a bad percent in the query', '/a?b=%zz'],
    ['a quote in the query, which WHATWG URLs encode', "/a?b='"],
    ...[...'"<>^`{|}'].flatMap((character): [string, string][] => [
      [`${character} in the path`, `/a${character}`],
      [`${character} in the query`, `/a?${character}`],
    ]),
  ])('refuses %s', (_name, raw) => {
    expect(codeOf(raw)).toBe('invalid_target');
  });

  test.each([
    ['/', '/', ''],
    ['/v1/users/me', '/v1/users/me', ''],
    ['/v1/users/', '/v1/users/', ''],
    ['/v1/users?role=agent&q=a%20b&filter[x]=1', '/v1/users', '?role=agent&q=a%20b&filter[x]=1'],
    ['/a?next=/b//c/../d;e?f', '/a', '?next=/b//c/../d;e?f'],
    ['/a.b/...', '/a.b/...', ''],
    ['/.well-known/jwks.json', '/.well-known/jwks.json', ''],
    ['/%C3%A9%20%25', '/%C3%A9%20%25', ''],
    ["/a!$&'()*+,=:@b", "/a!$&'()*+,=:@b", ''],
    ['/%EF%BC%8E%EF%BC%8E/admin', '/%EF%BC%8E%EF%BC%8E/admin', ''],
    ['/a%252e%252e', '/a%252e%252e', ''],
  ])('keeps %s byte for byte', (raw, path, query) => {
    expect(parseRequestTarget(raw)).toEqual({ path, query });
  });

  test('puts the reason into the detail, which only the log shows', () => {
    expect(() => parseRequestTarget('/a/../b')).toThrow(
      expect.objectContaining({ code: 'invalid_target', detail: { reason: 'a dot segment' } }),
    );
  });

  test('refuses a target longer than 8 KiB with 414', () => {
    expect(codeOf(`/${'a'.repeat(maxRequestTargetBytes - 1)}`)).toBe('accepted');
    expect(codeOf(`/${'a'.repeat(maxRequestTargetBytes)}`)).toBe('uri_too_long');
  });

  const hostile = fc.constantFrom(
    ...[
      '/',
      '//',
      '.',
      '..',
      '%2e',
      '%2E',
      '%2f',
      '%5c',
      '\\',
      ';',
      '%',
      '%25',
      '%41',
      '%c3%a9',
      '%ff',
      '?',
      '#',
      '@',
      ':',
    ],
    ...[
      'a',
      'B',
      '7',
      '~',
      '-',
      '_',
      '!',
      "'",
      '(',
      '*',
      ',',
      '=',
      '&',
      '+',
      '[',
      ']',
      '{',
      '|',
      '^',
      '`',
      '"',
      '<',
      ' ',
    ],
    ...['\t', '\n', '\0', '\x7f', '\xe9', '\u2215', 'http:', '%00', '%0d%0a', '%3b', '%7e', '%20'],
  );
  const target = fc.oneof(
    fc.array(hostile, { maxLength: 12 }).map((parts) => `/${parts.join('')}`),
    fc.array(hostile, { maxLength: 12 }).map((parts) => parts.join('')),
    fc.webUrl({ withQueryParameters: true }).map((url) => url.slice(url.indexOf('/', 8))),
    fc.string({ unit: 'binary', maxLength: 20 }).map((text) => `/${text}`),
  );

  test('an accepted target equals its WHATWG URL form byte for byte', () => {
    fc.assert(
      fc.property(target, (raw) => {
        if (codeOf(raw) !== 'accepted') return;
        const { path, query } = parseRequestTarget(raw);
        const url = new URL(raw, 'http://h');
        expect(path + query).toBe(raw);
        expect(url.pathname + url.search).toBe(raw);
        expect(url.origin).toBe('http://h');
      }),
      { numRuns: 5000 },
    );
  });

  test('an accepted path decodes to the same number of segments, without dot segments', () => {
    fc.assert(
      fc.property(target, (raw) => {
        if (codeOf(raw) !== 'accepted') return;
        const { path } = parseRequestTarget(raw);
        const decoded = decodeURIComponent(path);
        expect(decoded.split('/').length).toBe(path.split('/').length);
        expect(decoded.split(/[/\\;]/).some((segment) => segment === '.' || segment === '..')).toBe(false);
      }),
      { numRuns: 5000 },
    );
  });

  test('parses hostile targets of 8 KiB in linear time', () => {
    const patterns = ['a-', '%41', '%20', '/a', '/.a', '.', '%c3%a9', '?', '=&'];
    for (const pattern of patterns) {
      const raw = `/${pattern.repeat(maxRequestTargetBytes)}`.slice(0, maxRequestTargetBytes - 2);
      expect(fastestMs(() => codeOf(raw))).toBeLessThan(5);
    }
  });
});

test.each([
  ['/v1/tenants/7/settings', '/v1', '/', '/tenants/7/settings'],
  ['/v1', '/v1', '/', '/'],
  ['/v1/', '/v1', '/', '/'],
  ['/v1/a', '/v1', '/api/v2', '/api/v2/a'],
  ['/v1', '/v1', '/api', '/api'],
  ['/v1/', '/v1', '/api', '/api/'],
  ['/a', '/', '/api', '/api/a'],
  ['/', '/', '/api', '/api/'],
  ['/v10/a', '/v1', '/', '/v10/a'],
  ['/v1/v1/a', '/v1', '/', '/v1/a'],
])('%s from %s to %s is %s', (path, from, to, expected) => {
  expect(rewritePath(path, { from, to })).toBe(expected);
});

test('leaves a path unchanged without a rewrite', () => {
  expect(rewritePath('/v1/a', undefined)).toBe('/v1/a');
});
