import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { queryTerms, termsOf } from './terms.ts';

test.each([
  ['Street light BROKEN, broken again!', ['street', 'light', 'broken', 'again']],
  ['a@b.example and 3.14', ['a', 'b', 'example', 'and', '3', '14']],
  ['ﬁlter Ｆｕｌｌ', ['filter', 'full']],
  ['café', ['café']],
  ['Größe GRÖSSE', ['grösse']],
  ['ὁδός ΟΔΟΣ', ['ὁδόσ', 'οδοσ']],
  ['東京の騒音', ['東京', 'の', '騒音']],
  ['', []],
  ['?! …', []],
])('splits %j into words', (text, words) => {
  expect(termsOf(text)).toEqual(words);
});

test('keeps 64 characters of a word, and never splits a character', () => {
  expect(termsOf('𝒳'.repeat(100))).toEqual(['x'.repeat(64)]);
  expect(termsOf('𐐷'.repeat(100))).toEqual(['𐐷'.repeat(64)]);
});

test('keeps the first 256 different words', () => {
  const description = Array.from({ length: 10_000 }, (_, i) => String.fromCodePoint(0x4e00 + i)).join('');
  const terms = termsOf(`broken lamp\n${description}`);
  expect(terms).toHaveLength(256);
  expect(terms.slice(0, 2)).toEqual(['broken', 'lamp']);
  expect(termsOf(`${'again '.repeat(1_000)} end`)).toEqual(['again', 'end']);
});

test('keeps 30 consecutive marks', () => {
  expect(termsOf(`a${'\u0331'.repeat(40)} b`)).toEqual([`a${'\u0331'.repeat(30)}`.normalize('NFKC'), 'b']);
});

/** The least CPU time of several runs, in microseconds. */
const cpuTimeOf = (text: string) =>
  Math.min(
    ...Array.from({ length: 10 }, () => {
      const begun = process.cpuUsage();
      termsOf(text);
      const { user, system } = process.cpuUsage(begun);
      return user + system;
    }),
  );

const marks = ['\u0300', '\u0316', '\u0334', '\u3099', '\u0345'];
test.each([
  ['marks of every class', (i: number) => marks[i % marks.length] ?? ''],
  ['marks in reverse order', (i: number) => (i < 5_000 ? '\u0300' : '\u0334')],
  ['half-width voiced marks', (i: number) => (i % 2 === 0 ? '\u0300' : '\uff9e')],
  ['a ligature that expands to 18 letters', () => '\ufdfa'],
])('splits 10,000 characters about as fast as words: %s', (_what, at) => {
  const text = `a${Array.from({ length: 9_999 }, (_, i) => at(i)).join('')}`;
  // CPU time compared with that of ordinary words, so that neither a busy nor a slow machine matters. Without the limit
  // of marks, these took 15 to 50 times as long.
  expect(cpuTimeOf(text)).toBeLessThan(5 * cpuTimeOf('words '.repeat(1_667)));
});

test('only the half-width voiced marks are letters that normalize to marks', () => {
  const all = Array.from({ length: 0x110000 }, (_, i) => String.fromCodePoint(i));
  const letters = all.filter((it) => !/\p{M}/u.test(it) && /^\p{M}+$/u.test(it.normalize('NFKD')));
  expect(letters).toEqual(['\uff9e', '\uff9f']);
});

test('uses at most ten words of a query', () => {
  expect(queryTerms('a b c d e f g h i j k l')).toHaveLength(10);
});

test('terms are folded, non-empty and short for any text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
      const terms = termsOf(text);
      expect(new Set(terms).size).toBe(terms.length);
      for (const term of terms) {
        expect(term).toMatch(/^[\p{L}\p{M}\p{N}]{1,64}$/u);
        expect(term.normalize('NFKC')).toBe(term);
      }
    }),
  );
});

test('each word of a text finds the text, in any case', () => {
  const word = fc.string({
    unit: fc.constantFrom(...'abcXYZäÖéß019ñ'),
    minLength: 1,
    maxLength: 12,
  });
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 20 }), fc.nat(), (words, pick) => {
      const stored = termsOf(words.join(' '));
      const asked = queryTerms((words[pick % words.length] ?? '').toUpperCase());
      expect(asked.every((term) => stored.some((other) => other.startsWith(term)))).toBe(true);
    }),
  );
});
