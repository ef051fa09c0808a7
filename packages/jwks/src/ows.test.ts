import { expect, test } from '@jest/globals';
import { trimOws } from './ows.ts';

test.each([
  ['', ''],
  [' ', ''],
  ['\t \t', ''],
  ['a', 'a'],
  [' \ta b\t ', 'a b'],
])('%j becomes %j', (text, trimmed) => {
  expect(trimOws(text)).toBe(trimmed);
});

const others = [
  '\xa0',
  '\x0b',
  '\x0c',
  '\x1c',
  '\x1f',
  '\x85',
  '\r',
  '\n',
  '\0',
  '\ufeff',
  '\u2003',
  '\u2028',
  '\u3000',
];

test.each(others)('%j stays, at both ends', (char) => {
  expect(trimOws(`\t ${char}a${char} `)).toBe(`${char}a${char}`);
});

test('reads a piece of a text', () => {
  expect(trimOws('name: \tvalue \r\n', 5, 13)).toBe('value');
});
