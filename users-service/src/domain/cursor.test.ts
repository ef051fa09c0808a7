import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeCursor, encodeCursor } from './cursor.ts';

const text = fc.string({ unit: 'grapheme' }).filter((value) => !value.includes('\0'));

test('a cursor decodes to the position it encodes', () => {
  fc.assert(
    fc.property(text, text, (folded_name, user_id) =>
      expect(decodeCursor(encodeCursor({ folded_name, user_id }))).toEqual({ folded_name, user_id }),
    ),
  );
});

test('accepts a cursor only in its canonical form', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.base64String(), fc.json()), (value) => {
      const decoded = decodeCursor(value);
      if (decoded !== undefined) expect(encodeCursor(decoded)).toBe(value);
    }),
  );
});

const encoded = (value: string) => Buffer.from(value).toString('base64url');
test.each([
  ['that is empty', ''],
  ['of words', 'next page please'],
  ['that is not an array', encoded('{"0":"a","1":"b"}')],
  ['that is too short', encoded('["a"]')],
  ['that is too long', encoded('["a","b","c"]')],
  ['of numbers', encoded('[1,2]')],
  ['with spaces', encoded('["a", "b"]')],
  ['with padding', `${encoded('["a","b"]')}=`],
  ['with a NUL', encoded('["\\u0000","b"]')],
])('refuses a cursor %s', (_what, cursor) => {
  expect(decodeCursor(cursor)).toBeUndefined();
});
