import { once } from 'node:events';
import { connect } from 'node:net';
import { eventually, rawRequest } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';

describe('the framing of a request', () => {
  let gateway: GatewayUnderTest;
  let token: string;
  beforeAll(async () => {
    gateway = await gatewayUnderTest();
    token = await gateway.issuer.accessToken();
  });
  afterAll(() => gateway.close());

  const fields = () => `Host: gateway.test\r\nAuthorization: Bearer ${token}\r\n`;
  const post = (headers: string, body: string, path = '/v1/things') =>
    `POST ${path} HTTP/1.1\r\n${fields()}${headers}\r\n${body}`;
  const hiddenPost = 'POST /v1/open/hidden HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 1\r\n\r\nx';
  const hidden = 'GET /v1/admin HTTP/1.1\r\nHost: gateway.test\r\nX-User-Id: root\r\n\r\n';

  async function refused(bytes: string) {
    const before = gateway.upstream.requests.length;
    const { status, code, headers } = await gateway.raw(bytes);
    expect(gateway.upstream.requests.length).toBe(before);
    expect(headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
    return [status, code, headers.connection];
  }

  test.each([
    ['length and chunks', 'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'],
    ['chunks and length', 'Transfer-Encoding: chunked\r\nContent-Length: 5\r\n', '0\r\n\r\n'],
    ['two lengths', 'Content-Length: 5\r\nContent-Length: 6\r\n', 'abcdef'],
    ['two equal lengths', 'Content-Length: 5\r\nContent-Length: 5\r\n', 'abcde'],
    ['a list of lengths', 'Content-Length: 5,5\r\n', 'abcde'],
    ['a signed length', 'Content-Length: +5\r\n', 'abcde'],
    ['a negative length', 'Content-Length: -5\r\n', 'abcde'],
    ['a hexadecimal length', 'Content-Length: 0x5\r\n', 'abcde'],
    ['an empty length', 'Content-Length:\r\n', ''],
    ['a length beyond 64 bits', 'Content-Length: 18446744073709551621\r\n', 'abcde'],
    ['another encoding', 'Transfer-Encoding: gzip\r\n', '0\r\n\r\n'],
    ['gzip under chunks', 'Transfer-Encoding: gzip, chunked\r\n', '0\r\n\r\n'],
    ['identity under chunks', 'Transfer-Encoding: identity, chunked\r\n', '0\r\n\r\n'],
    ['a length with a leading zero', 'Content-Length: 05\r\n', 'abcde'],
    ['chunked, but not last', 'Transfer-Encoding: chunked, identity\r\n', '0\r\n\r\n'],
    ['an encoding that ends with chunked', 'Transfer-Encoding: xchunked\r\n', '0\r\n\r\n'],
    ['chunked twice', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'],
    ['chunked with a vertical tab', 'Transfer-Encoding: \x0bchunked\r\n', '0\r\n\r\n'],
    ['a space before the colon', 'Content-Length : 5\r\n', 'abcde'],
    ['a folded line', 'X-A: b\r\n c\r\n', ''],
    ['a line that begins with a space', ' Content-Length: 5\r\n', 'abcde'],
    ['a NUL in a value', 'X-A: a\0b\r\n', ''],
    ['a bare CR in a value', 'X-A: a\rX-B: c\r\n', ''],
    ['a chunk size with 0x', 'Transfer-Encoding: chunked\r\n', '0x5\r\nabcde\r\n0\r\n\r\n'],
    ['a signed chunk size', 'Transfer-Encoding: chunked\r\n', '+5\r\nabcde\r\n0\r\n\r\n'],
    ['a chunk size with an underscore', 'Transfer-Encoding: chunked\r\n', '5_0\r\nabcde\r\n0\r\n\r\n'],
    ['a chunk that is longer than it says', 'Transfer-Encoding: chunked\r\n', '3\r\nabcde\r\n0\r\n\r\n'],
    ['a chunk size of 17 digits', 'Transfer-Encoding: chunked\r\n', '10000000000000005\r\nabcde\r\n0\r\n\r\n'],
  ])('with %s is refused, and the connection closed', async (_name, headers, body) => {
    expect(await refused(post(headers, body))).toEqual([400, expect.stringMatching(/^invalid_request$/), 'close']);
  });

  test.each([
    ['a bare LF', `GET /v1/things/1 HTTP/1.1\nHost: gateway.test\n\n`],
    ['no version', 'GET /v1/things/1\r\nHost: gateway.test\r\n\r\n'],
    ['the name of HTTP/2', 'GET /v1/things/1 HTTP/2.0\r\nHost: gateway.test\r\nConnection: close\r\n\r\n'],
    ['another version', `GET /v1/things/1 HTTP/3.7\r\nHost: gateway.test\r\n\r\n`],
    ['another protocol', 'SSH-2.0-OpenSSH_9.0\r\n'],
    ['a TLS ClientHello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  ])('%s is refused', async (_name, bytes) => {
    expect(await refused(bytes)).toEqual([400, expect.stringMatching(/^invalid_(request|target)$/), 'close']);
  });

  test('a value behind too many spaces is refused, and ends the connection', async () => {
    const padded = `GET /v1/open/padded HTTP/1.1\r\nHost: gateway.test\r\nX-A:${' '.repeat(500_000)}a\r\n\r\n`;
    const next = 'GET /v1/open/next HTTP/1.1\r\nHost: gateway.test\r\n\r\n';
    expect(await refused(padded + next)).toEqual([431, 'headers_too_large', 'close']);
  });

  test('a request behind one of another version never runs', async () => {
    const other = 'GET /v1/open/other HTTP/2.0\r\nHost: gateway.test\r\n\r\n';
    const next = 'GET /v1/open/next HTTP/1.1\r\nHost: gateway.test\r\n\r\n';
    expect(await refused(other + next)).toEqual([400, 'invalid_request', 'close']);
  });

  test('a request whose own head is too long never runs, and requests before it do', async () => {
    const before = gateway.upstream.requests.length;
    const good = 'GET /v1/open/good HTTP/1.1\r\nHost: gateway.test\r\n\r\n';
    const padded = `GET /v1/open/padded HTTP/1.1\r\nHost: gateway.test\r\nX-A:${' '.repeat(300_000)}a\r\n\r\n`;
    const { text } = await gateway.raw(good + padded + good);
    expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 431']);
    expect(gateway.upstream.requests.slice(before).map(({ target }) => target)).toEqual(['/v1/open/good']);
  });

  test('an unknown expectation is 417', async () => {
    expect(
      (await refused(post('Expect: 200-ok\r\nContent-Length: 1\r\nConnection: close\r\n', 'a'))).slice(0, 2),
    ).toEqual([417, 'expectation_failed']);
  });

  test.each(['DELETE', 'OPTIONS'])('a request hidden in the chunks of %s stays a body', async (method) => {
    const before = gateway.upstream.requests.length;
    const { status } = await gateway.raw(
      `${method} /v1/things/1 HTTP/1.1\r\n${fields()}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n` +
        `${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`,
    );
    expect(status).toBe(200);
    expect(gateway.upstream.requests.length).toBe(before + 1);
    expect(gateway.upstream.last().body.toString()).toBe(hidden);
    expect(gateway.upstream.last().headers).toMatchObject({ 'content-length': String(hidden.length) });
  });

  test.each(['GET', 'HEAD'])('%s with a body is refused, and the request hidden in it never runs', async (method) => {
    const before = gateway.upstream.requests.length;
    const { status, code, text } = await gateway.raw(
      `${method} /v1/things/1 HTTP/1.1\r\n${fields()}Content-Length: ${hidden.length}\r\nConnection: close\r\n\r\n${hidden}`,
    );
    expect(status).toBe(400);
    if (method === 'GET') expect(code).toBe('body_not_allowed');
    expect(text.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    expect(gateway.upstream.requests.length).toBe(before);
  });

  // A proxy in front of the gateway may have read all of this as one message.
  test.each([
    ['a length with a leading zero', 'POST', 'Content-Length: 05\r\n', 'abcde'],
    ['a length of GET with a leading zero', 'GET', 'Content-Length: 05\r\n', 'abcde'],
    ['a length of two zeros', 'HEAD', 'Content-Length: 00\r\n', ''],
    ['identity under chunks', 'POST', 'Transfer-Encoding: identity, chunked\r\n', '0\r\n\r\n'],
    ['gzip under chunks', 'POST', 'Transfer-Encoding: gzip, chunked\r\n', '0\r\n\r\n'],
  ])('a request hidden behind %s never runs', async (_name, method, headers, body) => {
    const before = gateway.upstream.requests.length;
    const { text } = await gateway.raw(
      `${method} /v1/open/1 HTTP/1.1\r\nHost: gateway.test\r\n${headers}\r\n${body}${hiddenPost}`,
    );
    expect(text.match(/HTTP\/1\.1 \d{3}/g)).toEqual(['HTTP/1.1 400']);
    await gateway.ask('/v1/open/after');
    expect(gateway.upstream.requests.slice(before).map(({ target }) => target)).toEqual(['/v1/open/after']);
  });

  test('a request after an answer that ends the connection never runs', async () => {
    const before = gateway.upstream.requests.length;
    const client = connect(gateway.port, '127.0.0.1');
    let text = '';
    client.on('data', (chunk) => {
      text += chunk;
    });
    client.write(post('Content-Length: 5\r\n', 'ab', '/v1/open/refused').replace('POST', 'PUT'));
    await eventually(() => expect(text).toMatch(/^HTTP\/1\.1 405 .*connection: close\r\n/is));
    client.end(`cde${hiddenPost}`);
    await once(client, 'close');
    expect(text.match(/HTTP\/1\.1 \d{3}/g)).toHaveLength(1);
    await gateway.ask('/v1/open/after');
    expect(gateway.upstream.requests.slice(before).map(({ target }) => target)).toEqual(['/v1/open/after']);
  });

  test('CONNECT after a request is refused after its answer', async () => {
    const { text } = await gateway.raw(
      `GET /v1/things/1 HTTP/1.1\r\n${fields()}\r\nCONNECT gateway.test:80 HTTP/1.1\r\nHost: gateway.test\r\n\r\n${hiddenPost}`,
    );
    expect([...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status)).toEqual(['200', '400']);
  });

  test('answers 100 pipelined requests in order, half of them without a token', async () => {
    const requests = Array.from({ length: 100 }, (_, at) =>
      at % 2 === 0
        ? `GET /v1/things/${at} HTTP/1.1\r\n${fields()}\r\n`
        : `GET /v1/things/${at} HTTP/1.1\r\nHost: gateway.test\r\n${at === 99 ? 'Connection: close\r\n' : ''}\r\n`,
    );
    const { text } = await gateway.raw(requests.join(''));
    const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status);
    expect(statuses).toEqual(requests.map((_, at) => (at % 2 === 0 ? '200' : '401')));
    const refusals = [...text.matchAll(/"instance":"\/v1\/things\/(\d+)"/g)].map(([, at]) => Number(at));
    expect(refusals).toEqual(requests.map((_, at) => at).filter((at) => at % 2 === 1));
  });

  test('disconnects a client with thousands of unanswered pipelined requests', async () => {
    const stuck = await gatewayUnderTest({
      upstream: { answer: () => {} },
      edits: [['response: 2s', 'response: 20s']],
    });
    const own = `Host: gateway.test\r\nAuthorization: Bearer ${await stuck.issuer.accessToken()}\r\n`;
    const first = `POST /v1/things HTTP/1.1\r\n${own}Content-Length: 1\r\n\r\na`;
    const behind = 'GET /v1/nothing HTTP/1.1\r\nHost: gateway.test\r\n\r\n';
    // The gateway disconnects long before the service must respond; otherwise this throws.
    await rawRequest(stuck.port, first + behind.repeat(6_000), 5_000).catch((error: NodeJS.ErrnoException) =>
      expect(['ECONNRESET', 'EPIPE']).toContain(error.code),
    );
    await eventually(() => expect(stuck.upstream.underWay()).toBe(0));
    expect((await stuck.ask('/v1/nothing')).status).toBe(404);
    await stuck.close();
  });

  test('malformed bytes after a good request are answered after it', async () => {
    const { text } = await gateway.raw(`GET /v1/things/1 HTTP/1.1\r\n${fields()}\r\nNONSENSE\r\n\r\n`);
    expect([...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status)).toEqual(['200', '400']);
    expect(text).toContain('{"ok":true}');
  });

  test('an upgrade to anything but a WebSocket is a plain request without it', async () => {
    for (const protocol of ['h2c', 'TLS/1.0', 'websocket, h2c']) {
      const { status } = await gateway.raw(
        `GET /v1/things/1 HTTP/1.1\r\n${fields()}Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: ${protocol}\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n`,
      );
      expect(status).toBe(200);
      expect(Object.keys(gateway.upstream.last().headers)).not.toEqual(
        expect.arrayContaining([expect.stringMatching(/^(upgrade|http2-settings)$/)]),
      );
    }
  });

  test('a pipelined request waits for an unsafe one before it, and an upgrade waits for all', async () => {
    const answers = new Map<string, () => void>();
    const slow = await gatewayUnderTest({
      upstream: {
        answer: ({ target }, res) => void answers.set(target, () => res.end(target)),
        upgrade: (_request, socket) =>
          socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'),
      },
    });
    const own = `Host: gateway.test\r\nAuthorization: Bearer ${await slow.issuer.accessToken()}\r\n`;
    const get = (target: string) => `GET ${target} HTTP/1.1\r\n${own}\r\n`;
    const answered = slow.raw(
      `${get('/v1/things/1')}${get('/v1/things/2')}POST /v1/things/3 HTTP/1.1\r\n${own}Content-Length: 1\r\n\r\na${get('/v1/things/4')}` +
        `GET /v1/socket HTTP/1.1\r\n${own}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
    );
    const arrived = () => slow.upstream.requests.map(({ target }) => target.slice('/v1/'.length));
    // Safe requests run concurrently.
    await eventually(() => expect(arrived().sort()).toEqual(['things/1', 'things/2']));
    for (const [next, so] of [
      ['things/3', ['things/1', 'things/2']],
      ['things/4', ['things/3']],
      ['socket', ['things/4']],
    ] as const) {
      expect(arrived()).not.toContain(next);
      for (const target of so) answers.get(`/v1/${target}`)?.();
      await eventually(() => expect(arrived().at(-1)).toBe(next));
    }
    const { text } = await answered;
    expect([...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status)).toEqual([
      '200',
      '200',
      '200',
      '200',
      '101',
    ]);
    expect([...text.matchAll(/^\/v1\/things\/(\d)/gm)].map(([, target]) => target)).toEqual(['1', '2', '3', '4']);
    await slow.close();
  });
});
