import { describe, expect, test } from '@jest/globals';
import { filterCookies, maySetCookie } from './cookies.ts';

const guarded = new Set(['__host-rt']);
const none = { cookies: new Set<string>(), guarded };
const refresh = { cookies: new Set(['__Host-rt']), guarded };

describe('cookies', () => {
  test.each([
    ['a=1; b=2', none, 'a=1; b=2'],
    ['a=1; __Host-rt=x; b=2', none, 'a=1; b=2'],
    ['__Host-rt=x', none, undefined],
    ['__Host-rt=x; a=1', refresh, '__Host-rt=x; a=1'],
    ['__host-RT=x;a=1', refresh, 'a=1'],
    [' __Host-rt =x', none, undefined],
    ['a="; __Host-rt=x; "', none, 'a="; "'],
    ['__Host-rt', none, undefined],
    ['__Host-rt', refresh, undefined],
    ['', none, undefined],
    ['=; =x; a', none, '=; =x; a'],
    ['a=1;\t__Host-rt=x\t; b=2', refresh, 'a=1;\t__Host-rt=x\t; b=2'],
    ['a=1, __Host-rt=x; b=2', none, 'b=2'],
    ['a=1,__host-rt=x; b=2', refresh, 'b=2'],
    ['a=1 __Host-rt =x; b=__Host-rt', none, 'b=__Host-rt'],
    ['__Host-rt=1, sid=2; a=1', { cookies: refresh.cookies, guarded: new Set(['__host-rt', 'sid']) }, 'a=1'],
    [
      '__Host-rt=1 sid =2',
      { cookies: new Set(['__Host-rt', 'sid']), guarded: new Set(['__host-rt', 'sid']) },
      undefined,
    ],
    ['__Host-rt="x"; a=1', refresh, '__Host-rt="x"; a=1'],
    ['__Host-rtx=x; x__Host-rt=y; x=__Host-rt', none, '__Host-rtx=x; x__Host-rt=y; x=__Host-rt'],
  ])('%p with %p allowed', (cookie, allowed, expected) => {
    expect(filterCookies(cookie, allowed)).toBe(expected);
  });

  // U+00A0 and U+FEFF arrive as bytes. Node's parser refuses control characters, but a decision call may have them.
  test.each([
    '\xa0__Host-rt',
    '__Host-rt\xa0',
    '\xa0__Host-rt\xa0',
    '\xc2\xa0__Host-rt',
    '\x0b__Host-rt',
    '__Host-rt\x0c',
    '\x1c__Host-rt',
    '\x85__Host-rt',
    '__Host-rt\x85',
    '\xef\xbb\xbf__Host-rt',
    '\ufeff__Host-rt',
    '__Host-rt\xef\xbb\xbf',
    '__Host-rt ',
    '__Host-rt\t',
    '"__Host-rt"',
    '=__Host-rt',
    ',__Host-rt',
    '__host-rt',
    '__HOST-RT',
    '\xa0__host-rt',
  ])('%j is not __Host-rt, and is forwarded on no route', (name) => {
    for (const rule of [none, refresh]) {
      expect(filterCookies(`a=1; ${name}=planted`, rule)).toBe('a=1');
      expect(filterCookies(`${name}=planted; a=1`, rule)).toBe('a=1');
      expect(maySetCookie(`${name}=planted; Path=/; Secure`, rule, 'gateway.test')).toBe(false);
    }
    expect(filterCookies(`${name}=planted; __Host-rt=mine`, refresh)).toBe('__Host-rt=mine');
  });

  test('a cookie that one route names is forwarded on no other route', () => {
    const both = new Set(['__host-rt', 'session']);
    expect(filterCookies('session=1; a=2', { cookies: new Set(), guarded: both })).toBe('a=2');
    expect(filterCookies('session=1; a=2', { cookies: new Set(['session']), guarded: both })).toBe('session=1; a=2');
  });

  test('a service sets a guarded cookie only if the route names it', () => {
    const setCookie = '__Host-rt=x; Path=/; Secure; HttpOnly';
    expect(maySetCookie(setCookie, refresh, 'gateway.test')).toBe(true);
    expect(maySetCookie(setCookie, none, 'gateway.test')).toBe(false);
    expect(maySetCookie('lang=en; Path=/', none, 'gateway.test')).toBe(true);
  });

  test.each([
    ['a=1; Domain=api.example.test', true],
    ['a=1; Domain=.example.test', true],
    ['a=1; domain = EXAMPLE.test ; Path=/', true],
    ['a=1; Domain=', true],
    ['a=1; Domain', true],
    ['a=domain=evil.test; Path=/', true],
    ['a=1; Domain=evil.test', false],
    ['a=1; Domain=example.test\xa0', false],
    ['a=1; Domain=\xa0', false],
    ['a=1;Domain=.evil.test;Path=/', false],
    ['a=1; Domain=evil.test; Domain=example.test', false],
    ['a=1; Domain=example.test; Domain=evil.test', false],
    ['a=1; Domain=ample.test', false],
    ['a=1; Domain=v1.api.example.test', false],
    ['a=1; Domain=api.example.test.evil.test', false],
  ])('from a service at api.example.test: %s', (setCookie, passes) => {
    expect(maySetCookie(setCookie, none, 'api.example.test:8080')).toBe(passes);
  });

  test('an IP address matches only itself as a domain', () => {
    expect(maySetCookie('a=1; Domain=127.0.0.1', none, '127.0.0.1:8080')).toBe(true);
    expect(maySetCookie('a=1; Domain=0.1', none, '127.0.0.1:8080')).toBe(false);
  });
});
