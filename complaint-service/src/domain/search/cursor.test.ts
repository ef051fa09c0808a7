import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { cursorAt, decodeCursor, encodeCursor } from './cursor.ts';

const position = fc.record({
  createdAt: fc.date({ min: new Date(0), max: new Date('9999-12-31T23:59:59.999Z'), noInvalidDate: true }),
  id: fc.uuid(),
});

test('a cursor decodes to the position it encodes', () => {
  fc.assert(fc.property(position, (place) => expect(decodeCursor(encodeCursor(place))).toEqual(place)));
});

test('malformed cursors are refused', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.base64String(), fc.string({ unit: 'binary' })), (text) => {
      const decoded = decodeCursor(text);
      if (decoded !== undefined) expect(encodeCursor(decoded)).toBe(text);
    }),
  );
});

const id = '0197c2a0-0000-7000-8000-000000000000';
const encoded = (text: string) => Buffer.from(text).toString('base64url');
test.each([
  ['empty', ''],
  ['words', 'next page please'],
  ['padded', `${encoded(`a.${id}`)}=`],
  ['with a space in it', ` ${encoded(`a.${id}`)}`],
  ['with a leading zero', encoded(`0a.${id}`)],
  ['of the year 10000', encoded(`${Date.UTC(10_000, 0, 1).toString(36)}.${id}`)],
  ['without an id', encoded('a.')],
  ['with SQL for an id', encoded(`a.' or true --`)],
  ['with more behind it', encoded(`a.${id}\n`)],
])('refuses one that is %s', (_what, cursor) => {
  expect(decodeCursor(cursor)).toBeUndefined();
});

test('the cursor at a row encodes the position of the row', () => {
  expect(decodeCursor(cursorAt({ created_at: new Date(2), id }))).toEqual({ createdAt: new Date(2), id });
});
