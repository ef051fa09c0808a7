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
    ['', none, undefined],
  ])('%p with %p allowed', (cookie, allowed, expected) => {
    expect(filterCookies(cookie, allowed)).toBe(expected);
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
