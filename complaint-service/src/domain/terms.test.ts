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
])('finds the words of %j', (text, words) => {
  expect(termsOf(text)).toEqual(words);
});

test('keeps 64 characters of a word, and cuts none in half', () => {
  expect(termsOf('𝒳'.repeat(100))).toEqual(['x'.repeat(64)]);
  expect(termsOf('𐐷'.repeat(100))).toEqual(['𐐷'.repeat(64)]);
});

test('a query asks for ten words at most', () => {
  expect(queryTerms('a b c d e f g h i j k l')).toHaveLength(10);
});

test('every term is folded, non-empty and short, whatever the text', () => {
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

test('each word of a text finds the text, in any case and alone', () => {
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
