import { expect, test } from '@jest/globals';
import { wrapLines } from './report.ts';

test('wraps a paragraph at our maximum line length, and keeps every word', () => {
  const paragraph = Array.from({ length: 100 }, (_, index) => `word${index}`).join(' ');
  const wrapped = wrapLines(paragraph);
  expect(wrapped.split('\n').every((line) => line.length < 120)).toBe(true);
  expect(wrapped.replaceAll('\n', ' ')).toBe(paragraph);
});
