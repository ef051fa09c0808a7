import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { minPasswordLength, passwordWeakness, passwordWeaknesses } from './password-policy.ts';

const email = 'ann.lee@acme.test';

const passwordProblem = (password: string, whose: string): string | undefined => {
  const weakness = passwordWeakness(password, whose);
  return weakness && passwordWeaknesses[weakness];
};

describe('the policy accepts a password', () => {
  test.each([
    ['of four words', 'correct horse battery staple'],
    ['without words', 'x7#kQ2p!vR9z'],
    ['in another script', 'пароль из слов'],
    ['of emoji', '🦊🌋🪑🧂🦑🛶🪁🧶🥝🎻🦴🪐'],
    ['of twelve characters', 'gravel-onion'],
    ['with a NUL', 'gravel\0onions'],
    ['of words and a short keyboard pattern', 'qwerty gravel onions'],
    ['of words and digits', 'gravel onions 123456'],
    ['that contains a word of the email address', 'ann.lee likes gravel onions'],
  ])('%s', (_what, password) => {
    expect(passwordProblem(password, email)).toBeUndefined();
  });
});

describe('the policy refuses a password that is', () => {
  test.each([
    ['too short', 'gravel-onio', /12 characters/],
    ['too short in characters, although long in bytes', '🦊🌋🪑🧂🦑🛶🪁🧶🥝🎻🦴', /12 characters/],
    [
      'too short after normalization of combining accents',
      'e\u0301a\u0300u\u0308o\u0308n\u0303c\u0327',
      /12 characters/,
    ],
    ['empty', '', /12 characters/],
    ['one of the most common', 'qwertyqwerty', /most common/],
    ['a common password in capitals', 'QwertyQwerty', /most common/],
    ['a common password with a suffix', 'qwertyqwerty!?', /most common/],
    ['a common password in full-width letters', 'ｑｗｅｒｔｙｑｗｅｒｔｙ', /most common/],
    ['a sequence of digits', '123456789012', /most common|regular/],
    ['the alphabet', 'abcdefghijklmnop', /most common|regular/],
    ['the alphabet backwards', 'zyxwvutsrqponm', /simple pattern/],
    ['part of a keyboard row', 'ertyuiopasdf', /simple pattern/],
    ['a keyboard row with its last keys', 'qwertyuiop[]', /simple pattern/],
    ['the same, shifted', 'QWERTYUIOP{}', /simple pattern/],
    ['a keyboard row backwards', '][poiuytrewq', /simple pattern/],
    ['two keyboard rows, one backwards', 'qwertylkjhgf', /simple pattern/],
    ['a keyboard row twice', "asdfghjkl;'asdfghjkl;'", /simple pattern/],
    ['a keyboard row with each key twice', 'qqwweerrttyyuuii', /simple pattern/],
    ['parts of three keyboard rows', 'qweasdzxc098', /simple pattern/],
    ['keyboard columns', '1qaz2wsx3edc4rfv', /most common|regular/],
    ['a keyboard row with a suffix', 'zxcvbnm,./99', /simple pattern/],
    ['a German keyboard row', 'qwertzuiopü+', /simple pattern/],
    ['two German keyboard rows', 'asdfghjklöäyxcvbnm', /simple pattern/],
    ['a French keyboard row', 'azertyuiop^$', /simple pattern/],
    ['a French keyboard row backwards', '*ùmlkjhgfdsq', /simple pattern/],
    ['the French digit row without shift', '&é"\'(-è_çà)=', /simple pattern/],
    ['the shifted digit row', '!@#$%^&*()_+', /simple pattern/],
    ['one repeated character', 'aaaaaaaaaaaaaaa', /most common|regular/],
    ['a few repeated characters', 'ab1!ab1!ab1!ab', /simple pattern/],
    ['the email address', 'ann.lee@acme.test', /email/],
    ['close to the name in the email address', 'ann.lee12345', /email/],
  ])('%s', (_what, password, message) => {
    expect(passwordProblem(password, email)).toMatch(message);
  });
});

test('accepts twelve random characters, and refuses fewer', () => {
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
