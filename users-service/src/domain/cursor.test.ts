import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { cursorAt, decodeCursor, encodeCursor } from './cursor.ts';

const text = fc.string({ unit: 'grapheme' }).filter((value) => !value.includes('\0'));

test('a cursor decodes to the position it encodes', () => {
  fc.assert(
    fc.property(text, text, (foldedName, userId) =>
      expect(decodeCursor(encodeCursor({ foldedName, userId }))).toEqual({ foldedName, userId }),
    ),
  );
});

test('the cursor at a row encodes the position of the row', () => {
  expect(decodeCursor(cursorAt({ folded_name: 'a', user_id: 'b' }))).toEqual({ foldedName: 'a', userId: 'b' });
});

test('malformed cursors are refused', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.base64String(), fc.json()), (value) => {
      const decoded = decodeCursor(value);
      if (decoded !== undefined) expect(encodeCursor(decoded)).toBe(value);
    }),
  );
});

const encoded = (value: string) => Buffer.from(value).toString('base64url');
test.each([
  ['empty', ''],
  ['words', 'next page please'],
  ['no list', encoded('{"0":"a","1":"b"}')],
  ['too short', encoded('["a"]')],
  ['too long', encoded('["a","b","c"]')],
  ['of numbers', encoded('[1,2]')],
  ['spaced', encoded('["a", "b"]')],
  ['padded', `${encoded('["a","b"]')}=`],
  ['a NUL', encoded('["\\u0000","b"]')],
])('refuses one that is %s', (_what, cursor) => {
  expect(decodeCursor(cursor)).toBeUndefined();
});
