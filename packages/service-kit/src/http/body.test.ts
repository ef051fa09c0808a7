import { expect, test } from '@jest/globals';
import { lineField, textField } from './body.ts';

test('trims, and counts what is left', () => {
  expect(lineField(3).parse(' abc ')).toBe('abc');
  expect(lineField(3).safeParse('abcd').success).toBe(false);
  expect(lineField(3).safeParse(' \t').success).toBe(false);
});

test.each([
  ['line breaks', 'a\r\nb', false, true],
  ['a tab', 'a\tb', false, true],
  ['NUL', 'a\0b', false, false],
  ['an escape', 'a\x1bb', false, false],
  ['C1', 'a\x85b', false, false],
  ['half a character', 'a\ud800', false, false],
  ['any script', 'Ünï 漢字 🙂', true, true],
])('%s', (_what, value, inLine, inText) => {
  expect(lineField(20).safeParse(value).success).toBe(inLine);
  expect(textField(20).safeParse(value).success).toBe(inText);
});
