import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { FlatHeadResponse } from './client-response.ts';

const names = ['X-A', 'x-a', 'ETag', 'Content-Type', 'Date', 'date', 'Set-Cookie', 'set-cookie', 'Vary', 'Keep-Aliv'];
const special = ['content-length', 'Content-Length', 'Connection', 'keep-alive', 'Transfer-Encoding', 'TE'];
const header = fc.tuple(fc.constantFrom(...names), fc.constantFrom('', 'a', 'caf\xe9', 'a\tb, c', 'x'.repeat(200)));
const specialHeader = fc.oneof(
  fc.tuple(fc.constantFrom(...special), fc.constantFrom('0', '5', 'close', 'keep-alive', 'chunked', 'timeout=5')),
  fc.constant(['Content-Length', '12'] as [string, string]),
);
const responses = fc.record({
  status: fc.constantFrom(200, 201, 204, 304, 404, 503),
  headers: fc.array(fc.oneof({ weight: 3, arbitrary: header }, specialHeader), { maxLength: 8 }),
  method: fc.constantFrom('GET', 'HEAD', 'POST'),
  minor: fc.constantFrom(0, 1, 1, 1),
  keepAlive: fc.constantFrom(true, true, false),
  timeoutMs: fc.constantFrom(0, 1_500, 60_000),
  sendDate: fc.boolean(),
});
type Response = typeof responses extends fc.Arbitrary<infer Value> ? Value : never;

/** The head and what the rest of `node:http` reads of it. */
function headOf(
  Class: typeof ServerResponse,
  { status, headers, method, minor, keepAlive, timeoutMs, sendDate }: Response,
) {
  const request = Object.assign(new IncomingMessage(new Socket()), {
    method,
    httpVersionMajor: 1,
    httpVersionMinor: minor,
  });
  const response = Object.assign(new Class(request), { shouldKeepAlive: keepAlive, _keepAliveTimeout: timeoutMs });
  response.sendDate = sendDate;
  response.writeHead(status, headers.flat());
  const fields = response as unknown as Record<string, unknown>;
  const { _header, _headerSent, _contentLength, _last, _hasBody, _removedTE, _removedContLen, _removedConnection } =
    fields;
  const { chunkedEncoding, shouldKeepAlive, statusMessage } = response;
  const framing = { _contentLength, _last, _hasBody, _removedTE, _removedContLen, _removedConnection, chunkedEncoding };
  return { ...framing, _header: withoutOwnDate(String(_header)), _headerSent, shouldKeepAlive, statusMessage };
}

/** The second may change between two heads. */
const withoutOwnDate = (head: string) => head.replace(/\r\nDate: [A-Z][a-z]{2}, .* GMT\r\n/, '\r\nDate: now\r\n');

test('writes the same head as the response of node:http', () => {
  fc.assert(
    fc.property(responses, (response) => {
      expect(headOf(FlatHeadResponse as typeof ServerResponse, response)).toEqual(headOf(ServerResponse, response));
    }),
    { numRuns: 2_000 },
  );
});

test('leaves a name that is no token to node, which throws', () => {
  const response = new FlatHeadResponse(new IncomingMessage(new Socket()));
  expect(() => response.writeHead(200, ['content-length', '0', 'a b', 'c'])).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_HTTP_TOKEN' }),
  );
});
