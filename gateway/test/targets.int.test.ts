import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { acme, type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';

describe("a request's target and host", () => {
  let gateway: GatewayUnderTest;
  let token: string;
  beforeAll(async () => {
    gateway = await gatewayUnderTest();
    token = await gateway.issuer.accessToken();
  });
  afterAll(() => gateway.close());

  const send = (line: string, host = 'Host: gateway.test') =>
    gateway.raw(`${line} HTTP/1.1\r\n${host}\r\nAuthorization: Bearer ${token}\r\n<close>\r\n\r\n`);
  async function refused(line: string, host?: string) {
    const before = gateway.upstream.requests.length;
    const { status, code, headers, text } = await send(line, host);
    expect(gateway.upstream.requests.length).toBe(before);
    expect(text.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    return { answer: [status, code], headers };
  }

  test.each([
    '/v1/open/../admin',
    '/v1/./admin',
    '/v1/open/%2e%2e/admin',
    '/v1/open/%2E%2e/admin',
    '//v1/admin',
    '/v1//admin',
    '//evil.test/v1/admin',
    '/v1/open/%2fadmin',
    '/v1/open/..%2fadmin',
    '/v1/open%5c..%5cadmin',
    '/v1/open\\..\\admin',
    '/v1/open/..;/admin',
    '/v1/admin;a=b',
    '/v1/%61dmin',
    '/v1/ad%6Din',
    '/v1/admin%00',
    '/v1/admin%zz',
    '/v1/admin%',
    '/v1/%c0%ae%c0%ae/admin',
    '/v1/%u002e/admin',
    '/v1/things/1?',
    '/v1/things/1?a=%00',
    '/v1/things/1#x',
    'http://gateway.test/v1/things/1',
    'http://evil.test/v1/things/1',
    'http://user:pw@gateway.test/v1/things/1',
    'http://h//admin',
    '*',
    'v1/things/1',
    '?a=b',
  ])('GET %s is refused', async (target) => {
    expect((await refused(`GET ${target}`)).answer).toEqual([400, expect.stringMatching(/^invalid_(target|request)$/)]);
  });

  test.each([
    ['GET /V1/ADMIN', 400, 'invalid_target'],
    ['GET /v1/admin/', 400, 'invalid_target'],
    ['GET /v1/admin.', 400, 'invalid_target'],
    ['GET /v1/admin%20', 400, 'invalid_target'],
    ['GET /HEALTHZ', 400, 'invalid_target'],
    ['GET /v1/thingsandmore', 404, 'no_route'],
    ['GET /v1/%252e%252e/admin', 404, 'no_route'],
    ['GET /healthz', 404, 'no_route'],
    ['GET /metrics', 404, 'no_route'],
    ['GET /.well-known/jwks.json', 404, 'no_route'],
    ['TRACE /v1/things/1', 405, 'method_not_allowed'],
    ['PROPFIND /v1/things/1', 405, 'method_not_allowed'],
    ['DELETE /v1/admin', 405, 'method_not_allowed'],
    ['FROB /v1/things/1', 400, 'invalid_request'],
  ])('%s is %i', async (line, status, code) => {
    expect((await refused(line)).answer).toEqual([status, code]);
  });

  test('a method that is not listed gets Allow', async () => {
    const { headers } = await refused('DELETE /v1/admin');
    expect(headers.allow).toBe('GET, HEAD, POST');
  });

  test('CONNECT is refused', async () => {
    const { status, code } = await gateway.raw('CONNECT evil.test:443 HTTP/1.1\r\n<host>\r\n\r\n');
    expect([status, code]).toEqual([400, 'invalid_target']);
  });

  test.each([
    ['GET /v1/things/a%20b?q=%C3%A9&x[]=1', '/v1/things/a%20b?q=%C3%A9&x[]=1'],
    ['GET /v1/things', '/v1/things'],
    ['GET /v1/things/', '/v1/things/'],
    ['GET /v1/things/%25', '/v1/things/%25'],
    ['HEAD /v1/things/1', '/v1/things/1'],
    ['GET /v2/things/1?v=2', '/v1/things/1?v=2'],
  ])('%s arrives as %s, byte for byte', async (line, target) => {
    expect((await send(line)).status).toBe(200);
    expect(gateway.upstream.last().target).toBe(target);
  });

  test("a tenant in the path must be the caller's", async () => {
    expect((await send(`GET /v1/tenants/${acme}/settings`)).status).toBe(200);
    expect((await refused(`GET /v1/tenants/${acme.toUpperCase()}/settings`)).answer).toEqual([403, 'tenant_mismatch']);
    expect((await refused(`GET /v1/tenants/${acme}%20/settings`)).answer).toEqual([403, 'tenant_mismatch']);
  });

  test.each([
    ['none', 'X-No-Host: 1', 400, 'invalid_host'],
    ['an empty one', 'Host:', 400, 'invalid_host'],
    ['two', 'Host: gateway.test\r\nHost: gateway.test', 400, 'invalid_host'],
    ['a path in it', 'Host: gateway.test/v1', 400, 'invalid_host'],
    ['userinfo in it', 'Host: a@gateway.test', 400, 'invalid_host'],
    ['a port over 65535', 'Host: gateway.test:98777', 400, 'invalid_host'],
    ['a comma in it', 'Host: gateway.test,evil.test', 400, 'invalid_host'],
    ['another port', 'Host: gateway.test:81', 421, 'misdirected_request'],
    ['a name that begins with ours', 'Host: gateway.test.evil.test', 421, 'misdirected_request'],
    ['a name that ends with ours', 'Host: evilgateway.test', 421, 'misdirected_request'],
    ['a final dot', 'Host: gateway.test.', 421, 'misdirected_request'],
  ])('as host, %s is refused', async (_name, host, status, code) => {
    expect((await refused('GET /v1/things/1', host)).answer).toEqual([status, code]);
  });

  test.each(['GATEWAY.test', 'gateway.test:80'])('host %s is accepted', async (host) => {
    expect((await send('GET /v1/things/1', `Host: ${host}`)).status).toBe(200);
    expect(gateway.upstream.last().headers.host).toBe(`127.0.0.1:${gateway.upstream.port}`);
  });

  test('a long target is 414, many headers and large ones are 431', async () => {
    expect((await refused(`GET /v1/things/${'a'.repeat(8200)}`)).answer).toEqual([414, 'uri_too_long']);
    expect((await refused(`GET /v1/things/${'a'.repeat(60_000)}`)).answer).toEqual([414, 'uri_too_long']);
    const many = Array.from({ length: 100 }, (_, at) => `X-${at}: 1`).join('\r\n');
    expect((await refused('GET /v1/things/1', `Host: gateway.test\r\n${many}`)).answer).toEqual([
      431,
      'headers_too_large',
    ]);
    const large = `X-Large: ${'a'.repeat(13_000)}`;
    expect((await refused('GET /v1/things/1', `Host: gateway.test\r\n${large}`)).answer).toEqual([
      431,
      'headers_too_large',
    ]);
    const huge = `X-Huge: ${'a'.repeat(64_000)}`;
    expect((await refused('GET /v1/things/1', `Host: gateway.test\r\n${huge}`)).answer).toEqual([
      431,
      'headers_too_large',
    ]);
  });
});

test('only a host with the port of the one public origin is accepted', async () => {
  const gateway = await gatewayUnderTest({ edits: [['"http://gateway.test"', '"http://gateway.test:8080"']] });
  const hosts = ['gateway.test:8080', 'gateway.test', 'gateway.test:80', 'evil.test:8080'];
  const statuses: number[] = [];
  for (const host of hosts) {
    const { status } = await gateway.raw(`GET /v1/open/1 HTTP/1.1\r\nHost: ${host}\r\n<close>\r\n\r\n`);
    statuses.push(status);
  }
  const arrived = gateway.upstream.requests.length;
  await gateway.close();
  expect(statuses).toEqual([200, 421, 421, 421]);
  expect(arrived).toBe(1);
});
