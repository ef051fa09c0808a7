import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { readCheckRequest } from './check.ts';

const delimited = (field: number, bytes: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from([(field << 3) | 2, bytes.length]), bytes]);
const http = (...parts: readonly Uint8Array[]): Buffer =>
  delimited(1, delimited(4, delimited(2, Buffer.concat(parts))));

test('reads any bytes as a request, or throws an Error', () => {
  const bytes = fc.uint8Array({ maxLength: 100 });
  fc.assert(
    fc.property(fc.oneof(bytes, bytes.map(http)), (given) => {
      let headers: readonly string[] = [];
      try {
        ({ headers } = readCheckRequest(Buffer.from(given)));
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
      }
      expect(headers.length % 2).toBe(0);
    }),
    { numRuns: 2_000 },
  );
});

test('reads texts with one character per byte, and skips unknown fields', () => {
  const path = delimited(4, Buffer.from([0x2f, 0xc3, 0xa9]));
  const unknown = [delimited(14, Buffer.from('x')), Buffer.from([0xa5, 1, 1, 2, 3, 4])];
  expect(readCheckRequest(http(path, ...unknown))).toMatchObject({ path: '/\u00c3\u00a9', isMerged: false, size: 0 });
});

test.each([
  ['a number instead of a text', http(Buffer.from([4 << 3, 1])), 'a number instead of bytes'],
  ['a text instead of a number', http(delimited(9, Buffer.from('1'))), 'field 9 is not a number'],
  ['a second request', Buffer.concat([http(), http()]), 'field 1 repeats'],
  ['a truncated message', http().subarray(0, -1), 'premature EOF'],
])('%s is refused', (_, bytes, message) => {
  expect(() => readCheckRequest(bytes)).toThrow(message);
});
