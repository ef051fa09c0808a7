import { monitorEventLoopDelay } from 'node:perf_hooks';
import { rawRequest } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type GatewayUnderTest, gatewayUnderTest, parseAnswer } from './gateway-under-test.ts';

/** Under a public prefix: a service that resolves them would reach a path that is not public. */
const ambiguous = [
  '/v1/open/../admin',
  '/v1/open/..',
  '/v1/open/.',
  '/v1/open/./',
  '/../v1/admin',
  '/..',
  '/.',
  '//',
  '///v1/admin',
  '/v1/open//',
  '/v1/open//admin',
  '/v1/open/.%2e/admin',
  '/v1/open/%2E./admin',
  '/v1/open/%2e',
  '/%2e%2e/v1/admin',
  '/v1/open/%2e%2e%2fadmin',
  '/v1/open/..%2F..%2Fv1/admin',
  '/v1/open/..%5Cadmin',
  '/v1/open/..\\admin',
  '/\\evil.test/v1/admin',
  '\\v1\\admin',
  '/v1/open/..%00/admin',
  '/v1/open/..%0d%0a/admin',
  '/v1/open/%09/admin',
  '/v1/open/..;/admin',
  '/v1/open/..;a=b/admin',
  '/v1/open/;/admin',
  '/v1/open/..%3b/admin',
  '/v1/open/%3B',
  '/v1/open/%c0%af/admin',
  '/v1/open/%c1%9c/admin',
  '/v1/open/%e0%80%ae%e0%80%ae/admin',
  '/v1/open/%f0%80%80%ae/admin',
  '/v1/open/%f8%80%80%80%ae',
  '/v1/open/%ed%a0%80',
  '/v1/open/%c3',
  '/v1/open/%u002e%u002e/admin',
  '/v1/open/%',
  '/v1/open/%2',
  '/v1/open/%2g',
  '/v1/open/% 2e',
  '/v1/%6fpen/1',
  '/v1/open/%31',
  '/v1/open/%5F',
  '/%76%31/admin',
  '/v1/open/"',
  '/v1/open/<x>',
  '/v1/open/{x}',
  '/v1/open/a|b',
  '/v1/open/a^b',
  '/v1/open/`',
  '/v1/open/[x]',
  '/v1/open/\xc3\xa9',
  '/v1/open/\xef\xbc\x8e\xef\xbc\x8e/admin',
  '/v1/open/1?',
  '/v1/open/1?a=%',
  '/v1/open/1?a=%0',
  '/v1/open/1?a=%00',
  '/v1/open/1?a=\\',
  '/v1/open/1?a=|',
  '/v1/open/1?a=\xff',
  '/v1/open/1#',
  '/v1/open/1#/../admin',
  '/v1/open/1?a#b',
  'HTTP://gateway.test/v1/open/1',
  'https://gateway.test/v1/open/1',
  'http:/v1/open/1',
  'http://gateway.test:80/v1/open/1',
  'http://gateway.test@evil.test/v1/open/1',
  'ftp://gateway.test/v1/open/1',
  'ws://gateway.test/v1/open/1',
  'gateway.test/v1/open/1',
  'gateway.test:80',
  'v1/open/1',
  '?/v1/open/1',
  '#/v1/open/1',
  '*',
  '%2fv1/open/1',
];

describe('an ambiguous target', () => {
  let gateway: GatewayUnderTest;
  let token: string;
  beforeAll(async () => {
    gateway = await gatewayUnderTest({
      edits: [['trustedProxies: []', 'cors: { origins: ["https://app.example.test"] }']],
    });
    token = await gateway.issuer.accessToken();
  });
  afterAll(() => gateway.close());

  const websocket =
    'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nConnection: Upgrade\r\n';
  const preflight = 'Origin: https://app.example.test\r\nAccess-Control-Request-Method: GET\r\nConnection: close\r\n';

  test.each(ambiguous)('%j is refused in every kind of request', async (target) => {
    const { public: open, internal } = gateway.running.ports;
    const ways = [
      [open, 'GET', 'Connection: close\r\n'],
      [open, 'POST', 'Content-Length: 0\r\nConnection: close\r\n'],
      [open, 'GET', `Authorization: Bearer ${token}\r\n${websocket}`],
      [open, 'OPTIONS', preflight],
      [internal, 'GET', 'Connection: close\r\n'],
    ] as const;
    for (const [port, method, lines] of ways) {
      const bytes = Buffer.from(`${method} ${target} HTTP/1.1\r\nHost: gateway.test\r\n${lines}\r\n`, 'latin1');
      const answer = parseAnswer(await rawRequest(port, bytes));
      expect([method, answer.status, answer.code]).toEqual([
        method,
        400,
        expect.stringMatching(/^invalid_(?:target|request)$/),
      ]);
      expect(answer.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
    }
    expect(gateway.upstream.requests.length).toBe(0);
  });

  test('of 8 KiB does not delay other requests', async () => {
    const lag = monitorEventLoopDelay({ resolution: 1 });
    const heads = ['/v1/open/', '/v1/things/', '/v1/tenants/', '/v2/things/', '/'];
    const bodies = [
      'a-'.repeat(4_000),
      'a/'.repeat(4_000),
      '%25'.repeat(2_600),
      '.a'.repeat(4_000),
      '/-'.repeat(4_000),
    ];
    const asks = [...heads].flatMap((head) => bodies.map((body) => `${head}${body}`));
    lag.enable();
    for (const target of asks) await gateway.raw(`GET ${target} HTTP/1.1\r\n<host>\r\n<close>\r\n\r\n`);
    const names = [
      'Host',
      'Origin',
      'Content-Type',
      'Sec-WebSocket-Protocol',
      'Authorization',
      'X-Forwarded-For',
      'Connection',
    ];
    for (const name of names) {
      for (const value of ['a-'.repeat(4_000), '::'.repeat(4_000), ' ,'.repeat(4_000), 'a '.repeat(4_000)]) {
        await gateway.raw(
          `GET /v1/open/1 HTTP/1.1\r\n${name === 'Host' ? '' : '<host>\r\n'}${name}: ${value}b\r\n<close>\r\n\r\n`,
        );
      }
    }
    lag.disable();
    // The median, since the machine may be busy. A backtracking pattern would slow down every request.
    expect(lag.percentile(50) / 1e6).toBeLessThan(20);
  });
});

describe("a request's host", () => {
  let gateway: GatewayUnderTest;
  beforeAll(async () => {
    gateway = await gatewayUnderTest({ edits: [['publicOrigins: ["http://gateway.test"]', 'publicOrigins: []']] });
  });
  afterAll(() => gateway.close());
  const send = (host: string) =>
    gateway.raw(`GET /v1/open/1 HTTP/1.1\r\nHost: ${host}\r\nX-Forwarded-Host: evil.test\r\n<close>\r\n\r\n`);

  test.each(['a.test', 'A.test', 'a.test:8080', '127.0.0.1', '127.0.0.1:1', '[::1]', '[2001:db8::1]:443', 'localhost'])(
    'without publicOrigins may be %s, and replaces the client’s X-Forwarded-Host',
    async (host) => {
      expect((await send(host)).status).toBe(200);
      const { headers } = gateway.upstream.last();
      expect(headers['x-forwarded-host']).toBe(host.toLowerCase());
      expect(headers.host).toBe(`127.0.0.1:${gateway.upstream.port}`);
    },
  );

  test.each([
    '',
    ' ',
    'a.test:',
    'a.test:port',
    'a.test:-1',
    'a.test:65536',
    'a.test:000080',
    'a.test:80:80',
    'a.test/',
    'a.test/v1',
    'a.test?x',
    'a.test#x',
    'a.test\\b',
    'user@a.test',
    'user:pw@a.test',
    'http://a.test',
    'a.test, b.test',
    'a.test b.test',
    'a_b.test',
    '-a.test',
    '.a.test',
    '::1',
    '[::1',
    '[::1]x',
    '[a.test]',
    '[]',
    'a%2etest',
    'a.test%00',
    'a\xe9.test',
    'a'.repeat(300),
  ])('%j is refused', async (host) => {
    const before = gateway.upstream.requests.length;
    const { status, code } = await send(host);
    expect([status, code]).toEqual([400, 'invalid_host']);
    expect(gateway.upstream.requests.length).toBe(before);
  });
});
