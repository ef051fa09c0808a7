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
    ['the alphabet backwards', 'zyxwvutsrqponm', /regular/],
    ['a row of the keyboard', 'ertyuiopasdf', /regular/],
    ['a row of the keyboard with its last keys', 'qwertyuiop[]', /regular/],
    ['the same, shifted', 'QWERTYUIOP{}', /regular/],
    ['a row backwards', '][poiuytrewq', /regular/],
    ['two rows, one backwards', 'qwertylkjhgf', /regular/],
    ['a row twice', "asdfghjkl;'asdfghjkl;'", /regular/],
    ['each key of a row twice', 'qqwweerrttyyuuii', /regular/],
    ['parts of three rows', 'qweasdzxc098', /regular/],
    ['columns', '1qaz2wsx3edc4rfv', /most common|regular/],
    ['a row and an end', 'zxcvbnm,./99', /regular/],
    ['a German row', 'qwertzuiopü+', /regular/],
    ['two German rows', 'asdfghjklöäyxcvbnm', /regular/],
    ['a French row', 'azertyuiop^$', /regular/],
    ['a French row backwards', '*ùmlkjhgfdsq', /regular/],
    ['French digits without shift', '&é"\'(-è_çà)=', /regular/],
    ['symbols over the digits', '!@#$%^&*()_+', /regular/],
    ['one character', 'aaaaaaaaaaaaaaa', /most common|regular/],
    ['a few characters', 'ab1!ab1!ab1!ab', /regular/],
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
      expect(problem === undefined || problem === 'is too regular').toBe(true);
      expect(passwordProblem(characters.slice(0, minPasswordLength - 1).join(''), email)).toMatch(/12 characters/);
    }),
  );
});
