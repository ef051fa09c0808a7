import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { splitRequestTarget } from './signed-message.ts';

test.each([
  ['/a', '/a', ''],
  ['/a?', '/a', '?'],
  ['/a?b?c=/../d', '/a', '?b?c=/../d'],
  ["/a//b/.well-known/...;x=1/[y]'", "/a//b/.well-known/...;x=1/[y]'", ''],
  ['/%2e%2e%2f', '/%2e%2e%2f', ''],
])('splits %s', (target, path, query) => {
  expect(splitRequestTarget('GET', target)).toEqual({ path, query });
});

const piece = fc.constantFrom(
  ...['/', '//', '.', '..', '%2e', '%2E', '%2f', '%', '?', '#', '\\', '"', "'", '<', '>', '`', '{', '|', '}', '^', '~'],
  ...['a', 'Z', '0', '-', '_', '!', '$', '&', '(', ')', '*', '+', ',', ';', ':', '=', '@', '[', ']', ' ', '\t', '\n'],
  ...['\0', '\x7f', '\u00e9', '\ud800', 'http:'],
);
const target = fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join('')}`);

test('accepts only targets that a WHATWG URL parser leaves unchanged, except for an empty query', () => {
  fc.assert(
    fc.property(target, (raw) => {
      let split: ReturnType<typeof splitRequestTarget>;
      try {
        split = splitRequestTarget('GET', raw);
      } catch {
        return;
      }
      expect(split.path + split.query).toBe(raw);
      const url = new URL(raw, 'http://h');
      expect(url.origin).toBe('http://h');
      expect(url.pathname).toBe(split.path);
      expect(url.search).toBe(split.query === '?' ? '' : split.query);
    }),
    { numRuns: 5_000 },
  );
});
