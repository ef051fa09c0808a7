import { expect, test } from '@jest/globals';
import { markdownTable, replaceBetween, showNumber, showSpread, wrapLines } from './markdown.ts';

test('renders a table', () => {
  expect(markdownTable(['name', 'a|b'], [['x', '1']])).toBe('| name | a\\|b |\n|---|---:|\n| x | 1 |');
});

test.each([
  [12_345.6, 0, '12,346'],
  [1.005, 1, '1.0'],
  [Number.NaN, 2, '–'],
])('shows %p with %p digits as %p', (value, digits, shown) => {
  expect(showNumber(value, digits)).toBe(shown);
});

test('shows a spread, and a dash for one that could not be measured', () => {
  expect(showSpread({ median: 5_500, min: 5_100, max: 5_900 })).toBe('5,500 (5,100–5,900)');
  expect(showSpread({ median: Number.NaN, min: Number.NaN, max: Number.NaN })).toBe('–');
});

test('replaces only what is between the marks', () => {
  const page = 'before\n<!-- a -->\nold\n<!-- /a -->\nafter <!-- b -->\n';
  expect(replaceBetween(page, 'a', 'new')).toBe('before\n<!-- a -->\nnew\n<!-- /a -->\nafter <!-- b -->\n');
});

test.each(['nothing', '<!-- a -->\nno end', 'no start\n<!-- /a -->'])(
  'refuses a page without the marks: %p',
  (page) => {
    expect(() => replaceBetween(page, 'a', 'new')).toThrow('the marks of a are missing');
  },
);

test('wraps a paragraph at our maximum line length, and keeps every word', () => {
  const paragraph = Array.from({ length: 100 }, (_, index) => `word${index}`).join(' ');
  const wrapped = wrapLines(paragraph);
  expect(wrapped.split('\n').every((line) => line.length < 120)).toBe(true);
  expect(wrapped.replaceAll('\n', ' ')).toBe(paragraph);
});
