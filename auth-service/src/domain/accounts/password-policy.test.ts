import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { minPasswordLength, passwordWeakness, passwordWeaknesses } from './password-policy.ts';

const email = 'ann.lee@acme.test';

const passwordProblem = (password: string, whose: string): string | undefined => {
  const weakness = passwordWeakness(password, whose);
  return weakness && passwordWeaknesses[weakness];
};

describe('a password may be', () => {
  test.each([
    ['four words', 'correct horse battery staple'],
    ['no words', 'x7#kQ2p!vR9z'],
    ['in another script', 'пароль из слов'],
    ['emoji', '🦊🌋🪑🧂🦑🛶🪁🧶🥝🎻🦴🪐'],
    ['twelve characters', 'gravel-onion'],
    ['with a NUL', 'gravel\0onions'],
    ['words and a stretch of keys', 'qwerty gravel onions'],
    ['words and digits', 'gravel onions 123456'],
    ['a word of the address among others', 'ann.lee likes gravel onions'],
  ])('%s', (_what, password) => {
    expect(passwordProblem(password, email)).toBeUndefined();
  });
});

describe('a password may not be', () => {
  test.each([
    ['short', 'gravel-onio', /12 characters/],
    ['short in characters, long in bytes', '🦊🌋🪑🧂🦑🛶🪁🧶🥝🎻🦴', /12 characters/],
    ['short, its accents written apart', 'e\u0301a\u0300u\u0308o\u0308n\u0303c\u0327', /12 characters/],
    ['empty', '', /12 characters/],
    ['one of the most common', 'qwertyqwerty', /most common/],
    ['one of them in capitals', 'QwertyQwerty', /most common/],
    ['one of them with an end', 'qwertyqwerty!?', /most common/],
    ['one of them in full-width letters', 'ｑｗｅｒｔｙｑｗｅｒｔｙ', /most common/],
    ['digits in a row', '123456789012', /most common|regular/],
    ['the alphabet', 'abcdefghijklmnop', /most common|regular/],
    ['the alphabet backwards', 'zyxwvutsrqponm', /simple pattern/],
    ['a row of the keyboard', 'ertyuiopasdf', /simple pattern/],
    ['a row of the keyboard with its last keys', 'qwertyuiop[]', /simple pattern/],
    ['the same, shifted', 'QWERTYUIOP{}', /simple pattern/],
    ['a row backwards', '][poiuytrewq', /simple pattern/],
    ['two rows, one backwards', 'qwertylkjhgf', /simple pattern/],
    ['a row twice', "asdfghjkl;'asdfghjkl;'", /simple pattern/],
    ['each key of a row twice', 'qqwweerrttyyuuii', /simple pattern/],
    ['parts of three rows', 'qweasdzxc098', /simple pattern/],
    ['columns', '1qaz2wsx3edc4rfv', /most common|regular/],
    ['a row and an end', 'zxcvbnm,./99', /simple pattern/],
    ['a German row', 'qwertzuiopü+', /simple pattern/],
    ['two German rows', 'asdfghjklöäyxcvbnm', /simple pattern/],
    ['a French row', 'azertyuiop^$', /simple pattern/],
    ['a French row backwards', '*ùmlkjhgfdsq', /simple pattern/],
    ['French digits without shift', '&é"\'(-è_çà)=', /simple pattern/],
    ['symbols over the digits', '!@#$%^&*()_+', /simple pattern/],
    ['one character', 'aaaaaaaaaaaaaaa', /most common|regular/],
    ['a few characters', 'ab1!ab1!ab1!ab', /simple pattern/],
    ['the address', 'ann.lee@acme.test', /email/],
    ['nearly the name in the address', 'ann.lee12345', /email/],
  ])('%s', (_what, password, message) => {
    expect(passwordProblem(password, email)).toMatch(message);
  });
});

test('any password of twelve random characters is fine, and every shorter one is not', () => {
  const character = fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code));
  fc.assert(
    fc.property(fc.uniqueArray(character, { minLength: minPasswordLength, maxLength: 40 }), (characters) => {
      // Distinct characters: nothing repeats, and only the alphabet itself is a run.
      const password = `${characters.join('')}~7`;
      const problem = passwordProblem(password, email);
      expect(problem === undefined || problem === 'is a simple pattern').toBe(true);
      expect(passwordProblem(characters.slice(0, minPasswordLength - 1).join(''), email)).toMatch(/12 characters/);
    }),
  );
});
