import { expect, test } from '@jest/globals';
import { lineField, textField } from './fields.ts';

test('trims a text before checking its length', () => {
  expect(lineField(3).parse(' abc ')).toBe('abc');
  expect(lineField(3).safeParse('abcd').success).toBe(false);
  expect(lineField(3).safeParse(' \t').success).toBe(false);
});

test.each([
  ['line breaks', 'a\r\nb', false, true],
  ['a tab', 'a\tb', false, true],
  ['NUL', 'a\0b', false, false],
  ['an escape character', 'a\x1bb', false, false],
  ['a C1 control character', 'a\x85b', false, false],
  ['a lone surrogate', 'a\ud800', false, false],
  ['a right-to-left override', 'txt.\u202eexe', false, true],
  ['an isolate', '\u2066a\u2069', false, true],
  ['only format characters', '\u200b\u2060\u00ad', false, true],
  ['only fillers that count as letters', '\u3164 \uffa0', false, true],
  ['joined emoji and letters with a joiner', '👩‍🔧 می‌خواهم', true, true],
  ['letters of any script', 'Ünï 漢字 🙂', true, true],
])('checks text with %s', (_what, value, inLine, inText) => {
  expect(lineField(20).safeParse(value).success).toBe(inLine);
  expect(textField(20).safeParse(value).success).toBe(inText);
});
