import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';

/**
 * What RFC 9110 and 9112 require of a server, tested over raw sockets. The cases follow public probes: Http11Probe's
 * compliance, malformed and smuggling suites. The gateway refuses a message, or forwards it exactly once with its
 * intended meaning.
 */
describe('HTTP/1.1', () => {
  let gateway: GatewayUnderTest;
  beforeAll(async () => {
    gateway = await gatewayUnderTest({
      upstream: {
        answer: ({ body }, res) =>
          void res.setHeader('content-type', 'text/plain').end(body.length === 0 ? 'ok' : body),
      },
    });
  });
  afterAll(() => gateway.close());

  const path = '/v1/open/1';
  const host = 'Host: gateway.test\r\n';
  const close = 'Connection: close\r\n';
  const get = (headers = '', target = path) => `GET ${target} HTTP/1.1\r\n${host}${headers}\r\n`;
  const post = (headers: string, body = '', target = path) => `POST ${target} HTTP/1.1\r\n${host}${headers}\r\n${body}`;
  const chunks = (body: string) => post('Transfer-Encoding: chunked\r\n', body);
  const embedded = get();

  const statusesIn = (text: string) => [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));

  // Refused, and the connection closes: the end of the message is ambiguous, or the following bytes cannot be trusted.
  test.each<[name: string, bytes: string]>([
    ['a bare LF after the request line', `GET ${path} HTTP/1.1\n${host}\r\n`],
    ['a bare LF after a header', `GET ${path} HTTP/1.1\r\nHost: gateway.test\nX-Test: a\r\n\r\n`],
    ['a bare LF at the end of the head', `GET ${path} HTTP/1.1\r\n${host}\n`],
    ['a bare CR after the request line', `GET ${path} HTTP/1.1\r${host}\r\n`],
    ['a folded header', get('X-Test: a\r\n b\r\n')],
    ['a header that is folded with a tab', get('X-Test: a\r\n\tb\r\n')],
    ['a space before the colon', get('X-Test : a\r\n')],
    ['a tab before the colon', get('X-Test\t: a\r\n')],
    ['a header without a colon', get('NoColon\r\n')],
    ['a header without a name', get(': a\r\n')],
    ['a bracket in a header name', get('Bad[Name: a\r\n')],
    ['a space in a header name', get('Bad Name: a\r\n')],
    ['non-ASCII bytes in a header name', get('X-T\xc3\xabst: a\r\n')],
    ['a NUL in a value', get('X-Test: a\0b\r\n')],
    ['a bell in a value', get('X-Test: a\x07b\r\n')],
    ['a DEL in a value', get('X-Test: a\x7fb\r\n')],
    ['a bare CR in a value', get('X-Test: a\rb\r\n')],
    ['a line with only a space before the headers', `GET ${path} HTTP/1.1\r\n \r\n${host}\r\n`],
    ['a space before the first header', `GET ${path} HTTP/1.1\r\n ${host}\r\n`],
    ['a tab after the method', `GET\t${path} HTTP/1.1\r\n${host}\r\n`],
    ['a tab after the target', `GET ${path}\tHTTP/1.1\r\n${host}\r\n`],
    ['a space after the version', `GET ${path} HTTP/1.1 \r\n${host}\r\n`],
    ['a space before the method', ` GET ${path} HTTP/1.1\r\n${host}\r\n`],
    ['a form feed after the method', `GET\x0c${path} HTTP/1.1\r\n${host}\r\n`],
    ['a space in the target', `GET ${path} a HTTP/1.1\r\n${host}\r\n`],
    ['a NUL in the target', `GET ${path}\0 HTTP/1.1\r\n${host}\r\n`],
    ['no target', `GET HTTP/1.1\r\n${host}\r\n`],
    ['no version', `GET ${path}\r\n\r\n`],
    ['no version, with headers', `GET ${path}\r\n${host}\r\n`],
    ['version 0.9', `GET ${path} HTTP/0.9\r\n${host}\r\n`],
    ['version 1', `GET ${path} HTTP/1\r\n${host}\r\n`],
    ['version 1.2', `GET ${path} HTTP/1.2\r\n${host}\r\n`],
    ['version 1.10', `GET ${path} HTTP/1.10\r\n${host}\r\n`],
    ['version 01.1', `GET ${path} HTTP/01.1\r\n${host}\r\n`],
    ['version 1.01', `GET ${path} HTTP/1.01\r\n${host}\r\n`],
    ['version 2.0', `GET ${path} HTTP/2.0\r\n${host}\r\n`],
    ['version 9.9', `GET ${path} HTTP/9.9\r\n${host}\r\n`],
    ['version 1,1', `GET ${path} HTTP/1,1\r\n${host}\r\n`],
    ['a version in lower case', `GET ${path} http/1.1\r\n${host}\r\n`],
    ['a space in the version', `GET ${path} HTTP/ 1.1\r\n${host}\r\n`],
    ['the version of ICE', `GET ${path} ICE/1.0\r\n${host}\r\n`],
    ['a method in lower case', `get ${path} HTTP/1.1\r\n${host}\r\n`],
    ['an unknown method', `FOOBAR ${path} HTTP/1.1\r\n${host}\r\n`],
    ['a known method with another letter', `GETS ${path} HTTP/1.1\r\n${host}\r\n`],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['CONNECT', 'CONNECT example.test:443 HTTP/1.1\r\nHost: example.test:443\r\n\r\n'],
    ['random bytes', Buffer.from(Array.from({ length: 256 }, (_, at) => (at * 167 + 13) & 255)).toString('latin1')],
    ['a line of spaces', '   \r\n\r\n'],

    ['a length and chunks', post('Content-Length: 13\r\nTransfer-Encoding: chunked\r\n', '5\r\nhello\r\n0\r\n\r\n')],
    ['chunks and a length', post('Transfer-Encoding: chunked\r\nContent-Length: 13\r\n', '5\r\nhello\r\n0\r\n\r\n')],
    ['two lengths', post('Content-Length: 5\r\nContent-Length: 10\r\n', 'helloworld')],
    ['two equal lengths', post('Content-Length: 5\r\nContent-Length: 5\r\n', 'hello')],
    ['a list of lengths', post('Content-Length: 5, 10\r\n', 'hello')],
    ['a list of equal lengths', post('Content-Length: 5, 5, 5\r\n', 'hello')],
    ...[
      'abc',
      '+5',
      '-1',
      '-0',
      '0x5',
      '0o5',
      '1_0',
      '1 0',
      '5x',
      '5.0',
      '5e0',
      '00',
      '005',
      '0200',
      '\x0b5',
      '99999999999999999999',
      '',
    ].map((length): [string, string] => [
      `the length ${JSON.stringify(length)}`,
      post(`Content-Length: ${length}\r\n`, 'A'.repeat(200)),
    ]),
    ['a length with a space before the colon', post('Content-Length : 5\r\n', 'hello')],
    ...[
      'xchunked',
      'chunkedx',
      'gzip',
      'identity',
      'chunked, gzip',
      'gzip, chunked',
      'chunked, chunked',
      'identity, chunked',
      ', chunked',
      'chunked,',
      'chunked;ext=val',
      '"chunked"',
      'chunked\0',
      '\x0bchunked',
      '\x0cchunked',
      'chun ked',
      'chunked\xa0',
      '',
    ].flatMap((coding): [string, string][] => [
      [
        `the coding ${JSON.stringify(coding)} and a length`,
        post(`Transfer-Encoding: ${coding}\r\nContent-Length: 5\r\n`, 'hello'),
      ],
      [`the coding ${JSON.stringify(coding)}`, post(`Transfer-Encoding: ${coding}\r\n`, '0\r\n\r\n')],
    ]),
    ['a tab before the coding, and a length', post('Transfer-Encoding:\tchunked\r\nContent-Length: 5\r\n', 'hello')],
    ['a space after the coding, and a length', post('Transfer-Encoding: chunked \r\nContent-Length: 5\r\n', 'hello')],
    ['the coding in upper case, and a length', post('Transfer-Encoding: CHUNKED\r\nContent-Length: 5\r\n', 'hello')],
    ['the coding folded', post('Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n', 'hello')],
    ['the coding with a space before the colon', post('Transfer-Encoding : chunked\r\nContent-Length: 5\r\n', 'hello')],
    ['two codings', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n', '0\r\n\r\n')],
    ['two equal codings', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n')],
    ['chunks under HTTP/1.0', `POST ${path} HTTP/1.0\r\n${host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    [
      'chunks and a length under HTTP/1.0',
      `POST ${path} HTTP/1.0\r\n${host}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello`,
    ],

    ...[
      '0x5',
      '+5',
      '-1',
      '5_0',
      '1_0',
      '5 ',
      ' 5',
      '5\t',
      '5.',
      'g',
      '',
      '0x',
      '10000000000000005',
      'fffffffffffffffff',
      '5;',
      '5;bad[=x',
      '5;a\x00',
      '5;a\rX',
      '5;a="',
    ].map((size): [string, string] => [
      `the chunk size ${JSON.stringify(size)}`,
      chunks(`${size}\r\nhello\r\n0\r\n\r\n`),
    ]),
    ['a chunk size that ends with LF', chunks('5\nhello\r\n0\r\n\r\n')],
    ['a chunk size that ends with CR', chunks('5\rhello\r\n0\r\n\r\n')],
    ['a chunk extension that ends with LF', chunks('5;a\nhello\r\n0\r\n\r\n')],
    ['a chunk that ends with LF', chunks('5\r\nhello\n0\r\n\r\n')],
    ['a chunk without its final CRLF', chunks('5\r\nhello0\r\n\r\n')],
    ['a chunk that is longer than it says', chunks('5\r\nhello!!\r\n0\r\n\r\n')],
    ['a chunk that is shorter than it says', chunks('6\r\nhello\r\n0\r\n\r\n')],
    ['chunks that end with LF', chunks('5\r\nhello\r\n0\r\n\n')],
    ['a trailer without a colon', chunks('5\r\nhello\r\n0\r\nNoColon\r\n\r\n')],
    ['a length in a trailer', chunks('5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n')],
    ['a coding in a trailer', chunks('5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n')],
    ['a folded trailer', chunks('5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n')],

    [
      'a request in a body with a length and chunks',
      post(`Content-Length: ${embedded.length + 5}\r\nTransfer-Encoding: chunked\r\n`, `0\r\n\r\n${embedded}`),
    ],
    [
      'a request after a signed length',
      post(`Content-Length: +${embedded.length + 5}\r\nTransfer-Encoding: chunked\r\n`, `0\r\n\r\n${embedded}`),
    ],
    [
      'a request after a folded coding',
      post(`Transfer-Encoding:\r\n chunked\r\nContent-Length: ${embedded.length + 5}\r\n`, `0\r\n\r\n${embedded}`),
    ],
    [
      'a request after another coding',
      post(`Transfer-Encoding: xchunked\r\nContent-Length: 4\r\n`, `0\r\n\r\n${embedded}`),
    ],
    ['a request after an empty length', post('Content-Length:\r\n', embedded)],
    ['a request after a bare LF', post('X-A: b\nContent-Length: 0\r\n', embedded)],
  ])('refuses %s once, and closes the connection', async (_name, bytes) => {
    const before = gateway.upstream.requests.length;
    const { text, headers } = await gateway.raw(bytes);
    expect(statusesIn(text)).toEqual([400]);
    expect(headers.connection).toBe('close');
    expect(headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
    expect(gateway.upstream.requests.length).toBe(before);
  });

  // Refused, but the connection may continue: the end of the message is known.
  test.each<[name: string, bytes: string, status: number, code: string]>([
    ['no Host', `GET ${path} HTTP/1.1\r\n${close}\r\n`, 400, 'invalid_host'],
    ['no Host under HTTP/1.0', `GET ${path} HTTP/1.0\r\n\r\n`, 400, 'invalid_host'],
    ['an empty Host', `GET ${path} HTTP/1.1\r\nHost: \r\n${close}\r\n`, 400, 'invalid_host'],
    ['Host twice', get(`${host}${close}`), 400, 'invalid_host'],
    ['two Hosts', get(`Host: other.test\r\n${close}`), 400, 'invalid_host'],
    ...[
      'user@gateway.test',
      'gateway.test/a',
      'gateway.test, other.test',
      'gateway.test:98777',
      'gateway.test:',
      'gateway.test:80:80',
      'gateway test',
      '[::1',
      'gateway.test?a',
    ].map((name): [string, string, number, string] => [
      `the Host ${name}`,
      `GET ${path} HTTP/1.1\r\nHost: ${name}\r\n${close}\r\n`,
      400,
      'invalid_host',
    ]),
    ['another Host', `GET ${path} HTTP/1.1\r\nHost: other.test\r\n${close}\r\n`, 421, 'misdirected_request'],
    ['* with GET', get(close, '*'), 400, 'invalid_target'],
    ['a target without a slash', get(close, 'v1/open/1'), 400, 'invalid_request'],
    ['an absolute target', get(close, `http://gateway.test${path}`), 400, 'invalid_target'],
    ['an absolute target for another host', get(close, `http://other.test${path}`), 400, 'invalid_target'],
    ['an authority', get(close, 'gateway.test:80'), 400, 'invalid_request'],
    ['a fragment', get(close, `${path}#a`), 400, 'invalid_target'],
    ['non-ASCII bytes in the target', get(close, '/v1/open/caf\xc3\xa9'), 400, 'invalid_request'],
    ['TRACE', `TRACE ${path} HTTP/1.1\r\n${host}${close}\r\n`, 405, 'method_not_allowed'],
    ['DELETE on a route without it', `DELETE ${path} HTTP/1.1\r\n${host}${close}\r\n`, 405, 'method_not_allowed'],
    ['a known method that no route has', `PROPFIND ${path} HTTP/1.1\r\n${host}${close}\r\n`, 405, 'method_not_allowed'],
    [
      'two content types',
      post(`Content-Type: text/plain\r\nContent-Type: text/html\r\nContent-Length: 5\r\n${close}`, 'hello'),
      400,
      'invalid_request',
    ],
    ['GET with a body', `${get(`Content-Length: 5\r\n${close}`)}hello`, 400, 'body_not_allowed'],
    [
      'GET with chunks',
      `${get(`Transfer-Encoding: chunked\r\n${close}`)}5\r\nhello\r\n0\r\n\r\n`,
      400,
      'body_not_allowed',
    ],
    [
      'OPTIONS * with a body',
      `OPTIONS * HTTP/1.1\r\n${host}Content-Length: 5\r\n${close}\r\nhello`,
      400,
      'body_not_allowed',
    ],
    ['an unknown expectation', get(`Expect: 200-ok\r\n${close}`), 417, 'expectation_failed'],
    [
      '100-continue with another expectation',
      post(`Expect: 100-continue, foo\r\nContent-Length: 5\r\n${close}`, 'hello'),
      417,
      'expectation_failed',
    ],
    [
      '100-continue twice',
      post(`Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 5\r\n${close}`, 'hello'),
      417,
      'expectation_failed',
    ],
    [
      'an expectation that contains 100-continue',
      post(`Expect: x100-continue\r\nContent-Length: 5\r\n${close}`, 'hello'),
      417,
      'expectation_failed',
    ],
    ['a target of 9000 bytes', get(close, `/${'a'.repeat(9000)}`), 414, 'uri_too_long'],
    ['a target of 100 000 bytes', get(close, `/${'a'.repeat(100_000)}`), 414, 'uri_too_long'],
    ['a method of 100 000 bytes', `${'A'.repeat(100_000)} / HTTP/1.1\r\n${host}\r\n`, 400, 'invalid_request'],
    ['a header of 13 000 bytes', get(`X-Big: ${'b'.repeat(13_000)}\r\n${close}`), 431, 'headers_too_large'],
    ['a header of 100 000 bytes', get(`X-Big: ${'b'.repeat(100_000)}\r\n${close}`), 431, 'headers_too_large'],
    ['a name of 100 000 bytes', get(`${'b'.repeat(100_000)}: a\r\n${close}`), 431, 'headers_too_large'],
    ['101 headers', get(`${'X-A: b\r\n'.repeat(99)}${close}`), 431, 'headers_too_large'],
    ['2000 headers', get(`${'X-A: b\r\n'.repeat(1999)}${close}`), 431, 'headers_too_large'],
    ['10 000 headers', get(`${'X-A: b\r\n'.repeat(10_000)}${close}`), 431, 'headers_too_large'],
    [
      'a body over the limit',
      post(`Content-Length: 2000000\r\n${close}`, 'a'.repeat(2_000_000)),
      413,
      'payload_too_large',
    ],
    [
      'chunks over the limit',
      post(`Transfer-Encoding: chunked\r\n${close}`, `200000\r\n${'a'.repeat(0x200000)}\r\n0\r\n\r\n`),
      413,
      'payload_too_large',
    ],
    [
      'a chunk extension of 100 000 bytes',
      chunks(`5;a=${'b'.repeat(100_000)}\r\nhello\r\n0\r\n\r\n`),
      413,
      'payload_too_large',
    ],
    [
      'endless trailers',
      chunks(`5\r\nhello\r\n0\r\n${`X-A: ${'b'.repeat(1000)}\r\n`.repeat(50)}\r\n`),
      431,
      'headers_too_large',
    ],
  ])('refuses %s', async (_name, bytes, status, code) => {
    const before = gateway.upstream.requests.length;
    const answer = await gateway.raw(bytes);
    expect(statusesIn(answer.text)).toEqual([status]);
    expect(answer.code).toBe(code);
    if (status === 405) expect(answer.headers.allow).toBe('GET, HEAD, POST');
    expect(gateway.upstream.requests.length).toBe(before);
  });

  // Over TLS every request arrives in pieces, because a TLS record is at most 16 KiB. Only the first piece shows the
  // target.
  test.each<[name: string, before: string, line: string, status: number]>([
    ['a target of 100 000 bytes', '', `GET /${'a'.repeat(100_000)} HTTP/1.1\r\n`, 431],
    ['a target of 100 000 bytes after another request', get(), `GET /${'a'.repeat(100_000)} HTTP/1.1\r\n`, 431],
    ['a header of 100 000 bytes', '', `GET ${path} HTTP/1.1\r\n${host}X-Big: ${'b'.repeat(100_000)}\r\n`, 431],
  ])('refuses %s that arrives in pieces', async (_name, before, line, status) => {
    const client = connect(gateway.port, '127.0.0.1');
    client.on('error', () => client.destroy());
    let text = '';
    client.on('data', (chunk) => {
      text += chunk;
    });
    client.write(before);
    for (let at = 0; at < line.length && !client.destroyed; at += 6_000) {
      await new Promise((resolve) => client.write(line.slice(at, at + 6_000), () => setImmediate(resolve)));
    }
    await once(client, 'close');
    expect(statusesIn(text)).toEqual(before === '' ? [status] : [200, status]);
  });

  const served: [name: string, bytes: string, body?: string][] = [
    ['a plain GET', get(close)],
    // Node's parser accepts these. The service gets the canonical line, so the spelling ends here.
    ['two spaces after the method', `GET  ${path} HTTP/1.1\r\n${host}${close}\r\n`],
    ['two spaces after the target', `GET ${path}  HTTP/1.1\r\n${host}${close}\r\n`],
    ['many spaces', `GET   ${path}     HTTP/1.1\r\n${host}${close}\r\n`],
    ['a CR before the method', `\r${get(close)}`],
    ['the version of RTSP', `GET ${path} RTSP/1.0\r\n${host}\r\n`],
    ['spaces before a value', get(`X-A:${' '.repeat(30_000)}b\r\n${close}`)],
    ['an empty line before the request', `\r\n${get(close)}`],
    ['empty lines before the request', `\r\n\r\n${get(close)}`],
    ['spaces and tabs around a value', get(`X-A: \t b \t\r\n${close}`)],
    ['no space before a value', get(`X-A:b\r\n${close}`)],
    ['an empty value', get(`X-A:\r\n${close}`)],
    ['header names in mixed case', `GET ${path} HTTP/1.1\r\nhOST: gateway.test\r\ncONNECTION: cLOSE\r\n\r\n`],
    ['a target of 8000 bytes', get(close, `/v1/open/${'a'.repeat(7991)}`)],
    ['a body with its length', post(`Content-Length: 5\r\n${close}`, 'hello'), 'hello'],
    ['spaces around a length', post(`Content-Length:  5 \r\n${close}`, 'hello'), 'hello'],
    ['a length of 0', post(`Content-Length: 0\r\n${close}`)],
    ['POST without a body', post(close)],
    ['GET with a length of 0', get(`Content-Length: 0\r\n${close}`)],
    ['one chunk', post(`Transfer-Encoding: chunked\r\n${close}`, '5\r\nhello\r\n0\r\n\r\n'), 'hello'],
    [
      'two chunks',
      post(`Transfer-Encoding: chunked\r\n${close}`, '5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n'),
      'hello world',
    ],
    ['only the last chunk', post(`Transfer-Encoding: chunked\r\n${close}`, '0\r\n\r\n')],
    [
      'a chunk size in upper case',
      post(`Transfer-Encoding: Chunked\r\n${close}`, 'A\r\nhelloworld\r\n0\r\n\r\n'),
      'helloworld',
    ],
    [
      'a chunk size with leading zeros',
      post(`Transfer-Encoding: chunked\r\n${close}`, '005\r\nhello\r\n000\r\n\r\n'),
      'hello',
    ],
    ['a chunk extension', post(`Transfer-Encoding: chunked\r\n${close}`, '5;a=b;c="d"\r\nhello\r\n0\r\n\r\n'), 'hello'],
    // The gateway drops every chunk extension, including this one without a name.
    [
      'a chunk extension without a name',
      post(`Transfer-Encoding: chunked\r\n${close}`, '5;=x\r\nhello\r\n0\r\n\r\n'),
      'hello',
    ],
    ['a trailer', post(`Transfer-Encoding: chunked\r\n${close}`, '5\r\nhello\r\n0\r\nX-Sum: a\r\n\r\n'), 'hello'],
    ...['Host: evil.test', 'Authorization: Bearer evil', 'Content-Type: text/evil', 'X-User-Id: root'].map(
      (trailer): [string, string, string] => [
        `the trailer ${trailer}`,
        post(`Transfer-Encoding: chunked\r\n${close}`, `5\r\nhello\r\n0\r\n${trailer}\r\n\r\n`),
        'hello',
      ],
    ),
    ['Transfer_Encoding', post(`Transfer_Encoding: chunked\r\nContent-Length: 5\r\n${close}`, 'hello'), 'hello'],
    ['Content_Length', post(`Content_Length: 9\r\nContent-Length: 5\r\n${close}`, 'hello'), 'hello'],
    ['a Range header on a POST', post(`Range: bytes=0-1\r\nContent-Length: 5\r\n${close}`, 'hello'), 'hello'],
    ['HTTP/1.0', `GET ${path} HTTP/1.0\r\n${host}\r\n`],
    ['a body under HTTP/1.0', `POST ${path} HTTP/1.0\r\n${host}Content-Length: 5\r\n\r\nhello`, 'hello'],
    [
      'an expectation under HTTP/1.0',
      `POST ${path} HTTP/1.0\r\n${host}Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello`,
      'hello',
    ],
    ['an upgrade to an unknown protocol', get('Connection: Upgrade, close\r\nUpgrade: made-up/1.0\r\n')],
    [
      'an Upgrade header that Connection does not name',
      get(`Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n${close}`),
    ],
    [
      'an upgrade by POST',
      post(
        'Connection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n',
      ),
    ],
    ['percent-encoded CRLF in the query', get(close, '/v1/open/1?a=%0d%0aX-User-Id:%20root')],
  ];
  test.each(served)('forwards %s once, with its intended meaning', async (_name, bytes, body = '') => {
    const before = gateway.upstream.requests.length;
    const { text, headers, body: answer } = await gateway.raw(bytes);
    expect(statusesIn(text)).toEqual([200]);
    expect(gateway.upstream.requests.length).toBe(before + 1);
    const { body: arrived, headers: sent } = gateway.upstream.last();
    expect(arrived.toString()).toBe(body);
    expect(answer).toBe(body === '' ? 'ok' : body);
    expect(sent['x-user-id']).toBeUndefined();
    expect(sent['transfer-encoding']).toBeUndefined();
    expect(headers.date).toMatch(/^\w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} GMT$/);
    expect(headers['content-type']).toBe('text/plain');
    expect(headers.connection).toBe('close');
  });

  test('sends 100 Continue once, and only to a client that expects it', async () => {
    const { text } = await gateway.raw(post(`Expect: 100-Continue\r\nContent-Length: 5\r\n${close}`, 'hello'));
    expect(statusesIn(text)).toEqual([100, 200]);
  });

  test('answers HEAD without a body, and 204 without a length', async () => {
    const { text } = await gateway.raw(`HEAD ${path} HTTP/1.1\r\n${host}${close}\r\n`);
    expect(statusesIn(text)).toEqual([200]);
    expect(text.split('\r\n\r\n')[1]).toBe('');
    const own = await gateway.raw(`OPTIONS * HTTP/1.1\r\n${host}${close}\r\n`);
    expect([own.status, own.headers['content-length'], own.body]).toEqual([204, undefined, '']);
  });

  test.each([
    ['a body that is shorter than its length', post('Content-Length: 10\r\n', 'hello')],
    ['chunks without an end', chunks('5\r\nhello\r\n')],
    ['half a chunk', chunks('5\r\nhel')],
    ['half a head', get().slice(0, -2)],
    ['half a request line', get().slice(0, 8)],
    ['nothing', ''],
  ])('does not forward %s when nothing follows, and sends no success', async (_name, bytes) => {
    const before = gateway.upstream.requests.length;
    const socket = connect({ port: gateway.port, host: '127.0.0.1', allowHalfOpen: true });
    const received: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => received.push(chunk));
    socket.end(Buffer.from(bytes, 'latin1'));
    await once(socket, 'close');
    const statuses = statusesIn(Buffer.concat(received).toString('latin1'));
    expect(statuses.filter((status) => status !== 400)).toEqual([]);
    expect(gateway.upstream.requests.length).toBe(before);
  });

  test('answers pipelined requests in order, and ends the connection at the first malformed one', async () => {
    const before = gateway.upstream.requests.length;
    const { text } = await gateway.raw(
      post('Content-Length: 5\r\n', 'first') +
        chunks('6\r\nsecond\r\n0\r\n\r\n') +
        get() +
        `GET ${path} HTTP/1.1\r\n ${host}\r\n` +
        get(),
    );
    expect(statusesIn(text)).toEqual([200, 200, 200, 400]);
    const arrived = gateway.upstream.requests.slice(before).map(({ body }) => body.toString());
    expect(arrived).toEqual(['first', 'second', '']);
  });
});
