import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodePosition, encodePosition, orders, positionOf } from './list-order.ts';

const time = fc.date({ min: new Date(0), max: new Date('9999-12-31T23:59:59.999Z'), noInvalidDate: true });
const row = fc.record({
  id: fc.uuid(),
  created_at: time,
  updated_at: time,
  due_at: time,
  priority: fc.integer({ min: 0, max: 3 }),
});
const position = fc.tuple(fc.constantFrom(...orders), row).map(([order, each]) => positionOf(order, each));

test('a cursor decodes to the position it encodes', () => {
  fc.assert(fc.property(position, (place) => expect(decodePosition(encodePosition(place))).toEqual(place)));
});

test('accepts a cursor only in its canonical form', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.base64String(), fc.string({ unit: 'binary' })), (text) => {
      const decoded = decodePosition(text);
      if (decoded !== undefined) expect(encodePosition(decoded)).toBe(text);
    }),
  );
});

const id = '0197c2a0-0000-7000-8000-000000000000';
const encoded = (text: string) => Buffer.from(text).toString('base64url');
test.each([
  ['that is empty', ''],
  ['for an unknown order', encoded(`title.a.${id}`)],
  ['with too few keys', encoded(`priority.a.${id}`)],
  ['with too many keys', encoded(`newest.a.b.${id}`)],
  ['with a leading zero', encoded(`newest.0a.${id}`)],
  ['in the year 10000', encoded(`newest.${Date.UTC(10_000, 0, 1).toString(36)}.${id}`)],
  ['beyond the last priority', encoded(`priority.4.a.${id}`)],
  ['beyond the range of a smallint', encoded(`priority.pa8.a.${id}`)],
  ['with a time instead of a priority', encoded(`priority.m8x2xkao.a.${id}`)],
  ['with SQL for an id', encoded(`newest.a.' or true --`)],
  ['followed by a line break', encoded(`newest.a.${id}\n`)],
  ['that is padded', `${encoded(`newest.a.${id}`)}=`],
])('refuses a cursor %s', (_what, cursor) => {
  expect(decodePosition(cursor)).toBeUndefined();
});
