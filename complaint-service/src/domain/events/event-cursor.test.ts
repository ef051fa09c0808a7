import { expect, test } from '@jest/globals';
import { decodeEventId, encodeEventId } from './event-cursor.ts';

const now = new Date('2026-05-01T12:00:00Z');

test('a stream continues after the last event that the client saw', () => {
  const position = { seq: 42, atMs: now.getTime() - 1_000 };
  expect(decodeEventId(encodeEventId(position), now)).toEqual(position);
});

test.each([
  '',
  'x',
  '1',
  '-1-2',
  '1-2-3',
  '1e3-5',
  '0x1-5',
  `1-${now.getTime() - 24 * 3600_000}`,
  `${'9'.repeat(30)}-1`,
])('a client with the id %j has to read its lists again', (id) => {
  expect(decodeEventId(id, now)).toBe('gone');
});
