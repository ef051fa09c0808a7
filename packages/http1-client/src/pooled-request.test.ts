import { Readable } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import type { DispatchOptions } from './dispatcher.ts';
import { requestHead } from './pooled-request.ts';

const get: DispatchOptions = { method: 'GET', path: '/', headers: [], body: null };

describe('the request head', () => {
  test.each<[name: string, request: Partial<DispatchOptions>, framing: string]>([
    ['GET without a body', {}, ''],
    ['DELETE without a body', { method: 'DELETE' }, ''],
    ['POST without a body', { method: 'POST' }, '\r\ncontent-length: 0'],
    ['bytes', { method: 'POST', body: Buffer.from('abc') }, '\r\ncontent-length: 3'],
    ['a stream with a length', { body: Readable.from([]), headers: ['content-length', '7'] }, '\r\ncontent-length: 7'],
    ['a stream without a length', { body: Readable.from([]) }, '\r\ntransfer-encoding: chunked'],
  ])('has the right framing for %s', (_name, request, framing) => {
    expect(requestHead({ ...get, ...request }, '\r\nhost: a')).toMatch(
      new RegExp(`^[A-Z]+ / HTTP/1.1\r\nhost: a${framing}\r\n\r\n$`),
    );
  });

  const names = ['Host', 'connection', 'Content-Length', 'TRANSFER-ENCODING', 'keep-alive', 'Proxy-Connection'];
  test.each<[name: string, request: Partial<DispatchOptions>]>([
    ...[...names, 'upgrade', 'Expect', '', 'a b', 'a:', 'a\r', 'a\0', '\xe9'].map(
      (name): [string, Partial<DispatchOptions>] => [
        `a header named ${JSON.stringify(name)}`,
        { headers: [name, 'a'] },
      ],
    ),
    ...['\r', '\n', '\0', '\x0b', '\x7f', '\u010a', '\u0100'].map((value): [string, Partial<DispatchOptions>] => [
      `a value with ${JSON.stringify(value)}`,
      { headers: ['a', `b${value}c`] },
    ]),
    ...['', ' ', '/a b', '/\r\n', '/\0', '/\u010a'].map((path): [string, Partial<DispatchOptions>] => [
      `the path ${JSON.stringify(path)}`,
      { path },
    ]),
    ...['', 'CONNECT', 'GET ', 'G\nT'].map((method): [string, Partial<DispatchOptions>] => [
      `the method ${JSON.stringify(method)}`,
      { method },
    ]),
    ['a header without a value', { headers: ['a'] }],
    ...['-1', '+1', '1e3', '', '9'.repeat(20)].map((length): [string, Partial<DispatchOptions>] => [
      `the length ${JSON.stringify(length)}`,
      { body: Readable.from([]), headers: ['content-length', length] },
    ]),
    ['two lengths', { body: Readable.from([]), headers: ['content-length', '1', 'Content-Length', '1'] }],
    ['a length together with bytes', { body: Buffer.from('a'), headers: ['content-length', '1'] }],
  ])('is refused with %s', (_name, request) => {
    expect(() => requestHead({ ...get, ...request }, '')).toThrow(
      expect.objectContaining({ code: 'UPSTREAM_INVALID_REQUEST' }),
    );
  });
});
