import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createUriCheck } from './dpop-proof.ts';

const isOurs = createUriCheck(['https://api.example.test', 'http://127.0.0.1:8080', 'http://[::1]:8080']);

describe('htu', () => {
  test.each([
    ['https://api.example.test/a', '/a'],
    ['https://api.example.test:443/a', '/a'],
    ['https://api.example.test:/a', '/a'],
    ['HTTPS://API.example.TEST/a', '/a'],
    ['https://api.example.test', '/'],
    ['https://api.example.test?x', '/'],
    ['https://api.example.test/a?b=/c#d', '/a'],
    ['https://api.example.test/%61', '/a'],
    ['https://api.example.test/%c3%bc', '/%C3%BC'],
    ['https://api.example.test/%C3%BC', '/%c3%bc'],
    ['http://127.0.0.1:8080/a:b@c', '/a:b@c'],
    ['http://[::1]:8080/a', '/a'],
  ])('%s matches the path %s', (htu, path) => {
    expect(isOurs(htu, path)).toBe(true);
  });

  test.each([
    ['https://api.example.test/A', '/a'],
    ['https://api.example.test/a/', '/a'],
    ['https://api.example.test//a', '/a'],
    ['https://api.example.test/b/../a', '/a'],
    ['https://api.example.test/%2e/a', '/a'],
    ['https://api.example.test/a%2Fb', '/a/b'],
    ['https://api.example.test/%2561', '/a'],
    ['https://api.example.test/a%3Fx', '/a'],
    ['https://api.example.test:80/a', '/a'],
    ['https://api.example.test.:443/a', '/a'],
    ['https://api.example.test.evil.test/a', '/a'],
    ['https://api.example.testa', '/a'],
    ['https://api.example.test@evil.test/a', '/a'],
    ['https://user@api.example.test/a', '/a'],
    ['https://api.example.test\\a', '/a'],
    ['https:/api.example.test/a', '/a'],
    ['https:api.example.test/a', '/a'],
    ['//api.example.test/a', '/a'],
    ['https:///api.example.test/a', '/a'],
    [' https://api.example.test/a', '/a'],
    ['https://api.example.test/a ', '/a'],
    ['https://api.example.test/a\n', '/a'],
    ['https://api.example.test/\ta', '/a'],
    ['https://api.example.test/ä', '/%C3%A4'],
    ['https://аpi.example.test/a', '/a'],
    ['http://api.example.test/a', '/a'],
    ['http://127.0.0.1/a', '/a'],
    ['http://127.0.0.1:08081/a', '/a'],
    ['http://127.0.0.1:99999/a', '/a'],
    ['ftp://api.example.test/a', '/a'],
    ['wss://api.example.test/a', '/a'],
    ['/a', '/a'],
    ['', '/'],
  ])('%j does not match the path %s', (htu, path) => {
    expect(isOurs(htu, path)).toBe(false);
  });

  test('agrees with WHATWG URL when both accept it', () => {
    const piece = fc.constantFrom(
      'a',
      'A',
      '/',
      '.',
      '..',
      '%61',
      '%c3%bc',
      '%C3%BC',
      '%2F',
      '%2e',
      '?',
      '#',
      ':',
      '@',
      '\\',
      ' ',
    );
    const htuText = fc.tuple(
      fc.constantFrom('http://', 'HTTP://', 'https://'),
      fc.constantFrom('h', 'H', 'h:80', 'x@h', 'hh'),
      fc.array(piece),
    );
    const check = createUriCheck(['http://h']);
    fc.assert(
      fc.property(htuText, fc.array(piece), ([scheme, host, rest], path) => {
        const htu = `${scheme}${host}${rest.join('')}`;
        const raw = `/${path.join('')}`;
        const url = URL.parse(htu);
        // Must never accept a URL that another parser reads as another host.
        if (check(htu, raw)) expect(url?.origin).toBe('http://h');
        if (url?.origin !== 'http://h') expect(check(htu, raw)).toBe(false);
      }),
    );
  });

  test('is refused in linear time', () => {
    /** The least CPU time of several runs, in microseconds. */
    const cpuTimeFor = (escapes: number) => {
      const long = `https://api.example.test/${'%61'.repeat(escapes)}!\u0000`;
      const times = Array.from({ length: 10 }, () => {
        const begun = process.cpuUsage();
        expect(isOurs(long, '/a')).toBe(false);
        const { user, system } = process.cpuUsage(begun);
        return user + system;
      });
      return Math.min(...times);
    };
    // Eight times as long takes about eight times as long. In quadratic time, it would be 64 times.
    expect(cpuTimeFor(160_000)).toBeLessThan(24 * cpuTimeFor(20_000));
  });
});
