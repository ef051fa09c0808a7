import { describe, expect, test } from '@jest/globals';
import { mayPass, passingCookies } from './cookies.ts';

const none = new Set<string>();
const refresh = new Set(['__Host-rt']);

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
    expect(passingCookies(cookie, allowed)).toBe(expected);
  });

  test('a service sets the guarded one only where the route names it', () => {
    const setCookie = '__Host-rt=x; Path=/; Secure; HttpOnly';
    expect(mayPass(setCookie, refresh)).toBe(true);
    expect(mayPass(setCookie, none)).toBe(false);
    expect(mayPass('lang=en; Path=/', none)).toBe(true);
  });
});
