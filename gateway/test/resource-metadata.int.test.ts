import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';

const wellKnown = '/.well-known/oauth-protected-resource';

describe('the metadata of protected resources', () => {
  let gateway: GatewayUnderTest;
  beforeAll(async () => {
    gateway = await gatewayUnderTest({
      edits: [
        [
          '["http://gateway.test"]',
          '["http://gateway.test", "http://localhost:8080"]\ncors: { origins: ["https://app.test"], headers: [MCP-Protocol-Version] }',
        ],
        [
          '\nroutes:',
          `
scopes: [orders.list]
routes:
  - { name: mcp, path: /mcp, methods: [POST], upstream: things, auth: required, allow: { scopes: [orders.read] } }
  - { name: mcp-stream, path: /mcp, methods: [GET], upstream: things, auth: required, senderConstrained: required }
  - { name: bound, path: /v1/bound, methods: [GET], upstream: things, auth: required, senderConstrained: required }
  - { name: rest, path: "/**", methods: [GET], upstream: things, auth: public }`,
        ],
      ],
    });
  });
  afterAll(() => gateway.close());

  const get = (path: string, { method = 'GET', host = 'gateway.test', more = '' } = {}) =>
    gateway.raw(`${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${more}<close>\r\n\r\n`);
  const common = {
    authorization_servers: ['http://issuer.test'],
    bearer_methods_supported: ['header'],
    dpop_signing_alg_values_supported: expect.arrayContaining(['ES256']),
  };

  test('describes the gateway and its issuers, and every scope that is known', async () => {
    const { status, headers, body } = await get(wellKnown);
    expect([status, headers['content-type']]).toEqual([200, 'application/json']);
    expect(headers).toMatchObject({ 'cache-control': 'public, max-age=300', 'x-content-type-options': 'nosniff' });
    expect(JSON.parse(body)).toEqual({
      resource: 'http://gateway.test',
      ...common,
      scopes_supported: ['orders.read', 'orders.list'],
    });
  });

  test.each<[string, string, object]>([
    ['/mcp', 'http://gateway.test/mcp', { scopes_supported: ['orders.read'] }],
    ['/v1/bound', 'http://gateway.test/v1/bound', { scopes_supported: [], dpop_bound_access_tokens_required: true }],
    ['/v1/things/7', 'http://gateway.test/v1/things/7', { scopes_supported: [] }],
    ['/v1/maybe', 'http://gateway.test/v1/maybe', { scopes_supported: [] }],
  ])('describes the path %s by its routes', async (path, resource, more) => {
    expect(JSON.parse((await get(wellKnown + path)).body)).toEqual({ resource, ...common, ...more });
  });

  test('names the origin that the client named', async () => {
    const { body } = await get(`${wellKnown}/mcp`, { host: 'localhost:8080' });
    expect(JSON.parse(body)).toMatchObject({ resource: 'http://localhost:8080/mcp' });
    const { headers } = await get('/mcp', { host: 'localhost:8080' });
    expect(headers['www-authenticate']).toContain(`"http://localhost:8080${wellKnown}/mcp"`);
    expect((await get(wellKnown, { host: 'evil.test' })).status).toBe(421);
  });

  test.each([
    ['a path of public routes', `${wellKnown}/v1/open/1`],
    ['a longer name', `${wellKnown}s`],
    ['a query', `${wellKnown}?a=b`],
    ['a slash at the end', `${wellKnown}/`],
  ])('leaves %s to the routes', async (_name, path) => {
    const before = gateway.upstream.requests.length;
    expect((await get(path)).status).toBe(200);
    expect(gateway.upstream.requests.length).toBe(before + 1);
  });

  test.each([
    ['POST', `${wellKnown}`, '', 405, 'method_not_allowed'],
    ['DELETE', `${wellKnown}/mcp`, '', 405, 'method_not_allowed'],
    ['GET', wellKnown, 'Content-Length: 1\r\n', 400, 'body_not_allowed'],
    ['GET', `${wellKnown}/../mcp`, '', 400, 'invalid_target'],
    ['GET', `${wellKnown}%2fmcp`, '', 400, 'invalid_target'],
  ])('refuses %s %s %j', async (method, path, more, status, code) => {
    const before = gateway.upstream.requests.length;
    const answer = await get(path, { method, more });
    expect([answer.status, answer.code]).toEqual([status, code]);
    expect(gateway.upstream.requests.length).toBe(before);
  });

  test('answers HEAD without a body', async () => {
    const { status, headers, body } = await get(wellKnown, { method: 'HEAD' });
    expect([status, body, Number(headers['content-length']) > 50]).toEqual([200, '', true]);
  });

  test('can be read by pages of other origins, preflight included', async () => {
    const origin = 'Origin: https://app.test\r\n';
    const preflight = await get(`${wellKnown}/mcp`, {
      method: 'OPTIONS',
      more: `${origin}Access-Control-Request-Method: GET\r\n`,
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers).toMatchObject({
      'access-control-allow-methods': 'GET, HEAD',
      'access-control-allow-origin': 'https://app.test',
    });
    const { headers } = await get(`${wellKnown}/mcp`, { more: origin });
    expect(headers['access-control-allow-origin']).toBe('https://app.test');
  });

  test('is named in challenges, with the scopes that the route needs', async () => {
    const named = `resource_metadata="http://gateway.test${wellKnown}/mcp"`;
    const missing = await get('/mcp', { method: 'POST' });
    expect(missing.headers['www-authenticate']).toBe(`Bearer scope="orders.read", ${named}`);
    const malformed = await get('/mcp', { method: 'POST', more: 'Authorization: Bearer a.b.c\r\n' });
    expect(malformed.headers['www-authenticate']).toMatch(/^Bearer error="invalid_token", error_description="[^"]+", /);
    expect(malformed.headers['www-authenticate']).toContain(named);
    const bound = await get('/v1/bound');
    expect(bound.headers['www-authenticate']).toMatch(/^DPoP algs="[^"]+", resource_metadata="/);
    const long = await get(`/v1/things/${'a'.repeat(600)}?q=1`);
    expect(long.headers['www-authenticate']).toBe(`Bearer resource_metadata="http://gateway.test${wellKnown}"`);
  });

  test('is left to a route of the configuration', async () => {
    await gateway.reload([
      ['\nroutes:', `\nroutes:\n  - { name: own, path: ${wellKnown}, methods: [GET], upstream: things, auth: public }`],
    ]);
    const before = gateway.upstream.requests.length;
    expect((await get(wellKnown)).status).toBe(200);
    expect(gateway.upstream.requests.length).toBe(before + 1);
    expect((await get('/v1/things/1')).headers['www-authenticate']).toBe('Bearer');
  });
});
