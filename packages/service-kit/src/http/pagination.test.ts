import { expect, test } from '@jest/globals';
import { z } from 'zod';
import { paginate, paginationFields } from './pagination.ts';

const query = z.object(
  paginationFields({
    maxLength: 5,
    decode: (cursor) => (cursor.startsWith('at-') ? Number(cursor.slice(3)) : undefined),
  }),
);

test('a page has a next cursor only when more rows follow', () => {
  const rows = [1, 2, 3];
  const cursorAt = (row: number) => `at-${row}`;
  expect(paginate(rows, 3, cursorAt)).toEqual({ rows, nextCursor: null });
  expect(paginate(rows, 2, cursorAt)).toEqual({ rows: [1, 2], nextCursor: 'at-2' });
  expect(paginate([], 2, cursorAt)).toEqual({ rows: [], nextCursor: null });
});

test('decodes the cursor, and defaults the limit to 20', () => {
  expect(query.parse({ cursor: 'at-0', limit: '100' })).toEqual({ cursor: 0, limit: 100 });
  expect(query.parse({})).toEqual({ limit: 20 });
});

test.each([
  ['an unknown cursor', { cursor: 'x' }],
  ['a cursor that is too long', { cursor: 'at-123' }],
  ['two cursors', { cursor: ['at-1', 'at-2'] }],
  ['a limit of 0', { limit: '0' }],
  ['a limit over 100', { limit: '101' }],
  ['a limit that is not a number', { limit: '1e1' }],
])('refuses %s', (_what, params) => {
  expect(query.safeParse(params).success).toBe(false);
});
