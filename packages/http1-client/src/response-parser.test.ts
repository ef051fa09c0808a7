import { describe, expect, test } from '@jest/globals';
import { maxHeadBytes, ResponseParser } from './response-parser.ts';

/** Parses the pieces as the response to one request. */
function read(pieces: readonly string[], method = 'GET') {
  const seen: unknown[] = [];
  const parser = new ResponseParser({
    receiveHead: (status, fields) => void seen.push(status, ...fields),
    receiveData: (bytes, start, end) => void seen.push(bytes.toString('latin1', start, end)),
    receiveEnd: (trailers) => void seen.push('end', ...trailers, parser.framing.mayReuse),
  });
  parser.expect(method);
  for (const piece of pieces) {
    const bytes = Buffer.from(piece, 'latin1');
    parser.read(bytes, bytes.length);
  }
  return seen;
}

const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';

describe('the response parser', () => {
  test('joins the chunks in one read, and copies an unfinished line', () => {
    const fields = ['Transfer-Encoding', 'chunked'];
    expect(read([`${head}1\r\na\r\n2\r\nbc\r\n3\r\nd`, 'e', 'f\r\n0', '\r\nX-S', 'um: 1\r\n\r', '\n'])).toEqual([
      ...[200, ...fields, 'abcd', 'e', 'f', 'end', 'X-Sum', '1', true],
    ]);
  });

  test('reads a head up to the size limit', () => {
    const lineBytes = 'X-A: \r\n'.length;
    const withValue = (bytes: number) => `HTTP/1.1 204 No\r\nX-A: ${'a'.repeat(bytes)}\r\n\r\n`;
    const fits = maxHeadBytes - 'HTTP/1.1 204 No\r\n\r\n'.length - lineBytes;
    expect(read([withValue(fits)]).at(-1)).toBe(true);
    expect(() => read([withValue(fits + 1)])).toThrow(expect.objectContaining({ code: 'UPSTREAM_RESPONSE_TOO_LARGE' }));
    // The limit applies to all pieces together, too.
    const pieces = withValue(fits + 1).match(/[\s\S]{1,1000}/g) ?? [];
    expect(() => read(pieces)).toThrow(expect.objectContaining({ code: 'UPSTREAM_RESPONSE_TOO_LARGE' }));
  });

  test('refuses "chunked" followed by a tab, which Node reads as an unknown coding', () => {
    for (const pieces of [[head.replace('chunked', 'chunked\t')], [...head.replace('chunked', 'chunked\t')]]) {
      expect(() => read(pieces)).toThrow(expect.objectContaining({ code: 'UPSTREAM_INVALID_RESPONSE' }));
    }
  });

  test('accepts a tab after the value of any other header', () => {
    expect(read([head.replace('\r\n\r\n', '\r\nX-Seventeen-Bytes: a\t\r\n\r\n'), '0\r\n\r\n'])).toEqual([
      ...[200, 'Transfer-Encoding', 'chunked', 'X-Seventeen-Bytes', 'a', 'end', true],
    ]);
  });

  test.each([
    ['a 204 with a length', 'HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n', 'GET'],
    ['bytes after the end of a response', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n\r\n', 'GET'],
    ['bytes after a response to HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na', 'HEAD'],
  ])('does not reuse a connection after %s', (_name, bytes, method) => {
    expect(read([bytes], method).at(-1)).toBe(false);
  });

  test('refuses bytes if no response is expected', () => {
    const parser = new ResponseParser({ receiveHead() {}, receiveData() {}, receiveEnd() {} });
    expect(() => parser.read(Buffer.from('\n'), 1)).toThrow(
      expect.objectContaining({ code: 'UPSTREAM_INVALID_RESPONSE' }),
    );
  });
});
