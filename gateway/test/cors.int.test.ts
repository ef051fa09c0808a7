import { rawRequest } from '@countersign/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';
import { exampleHead, exampleRoutes } from './kit/example-config.ts';
import { problemsOf } from './kit/problems-of.ts';

const app = 'https://app.example.test';

describe('a page of another origin', () => {
  let gateway: GatewayUnderTest;
  let token: string;
  let seen: number;
  beforeAll(async () => {
    const cors = `cors: { origins: ["${app}", "http://localhost:5173"], credentials: true, headers: [X-Trace], expose: [Link] }`;
    gateway = await gatewayUnderTest({
      edits: [['trustedProxies: []', `${cors}\nheaders: { security: true }`]],
      upstream: {
        answer: (_request, res) =>
          void res
            .writeHead(200, {
              'Access-Control-Allow-Origin': '*',
              'Access-Control-Allow-Methods': 'TRACE',
              'Access-Control-Expose-Headers': 'X-Inner',
              Vary: 'Accept-Encoding',
              'Referrer-Policy': 'origin',
            })
            .end('ok'),
        upgrade: (_request, socket) =>
          void socket.end(
            'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nAccess-Control-Allow-Origin: *\r\n\r\n',
          ),
      },
    });
    token = await gateway.issuer.accessToken();
  });
  beforeEach(() => {
    seen = gateway.upstream.requests.length;
  });
  afterAll(() => gateway.close());

  const send = (line: string, lines: string) => gateway.raw(`${line} HTTP/1.1\r\n<host>\r\n${lines}<close>\r\n\r\n`);
  const preflight = (path: string, origin: string, method = 'POST', more = '') =>
    send(`OPTIONS ${path}`, `Origin: ${origin}\r\nAccess-Control-Request-Method: ${method}\r\n${more}`);
  const corsOf = (headers: Readonly<Record<string, string>>) =>
    Object.keys(headers).filter((name) => name.startsWith('access-control-'));

  test.each([
    ['/v1/admin', 'GET, HEAD, POST'],
    ['/v1/things/1?a=b', 'DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT'],
    ['/v1/open/deep/er', 'GET, HEAD, POST'],
    ['/v1/limited', 'GET, HEAD, POST'],
  ])('gets the methods of %s from a preflight, without a token', async (path, methods) => {
    const { status, headers, text } = await preflight(
      path,
      app,
      'DELETE',
      'Access-Control-Request-Headers: x-user-id\r\n',
    );
    expect(status).toBe(204);
    expect(headers).toMatchObject({
      'access-control-allow-origin': app,
      'access-control-allow-credentials': 'true',
      'access-control-allow-methods': methods,
      'access-control-allow-headers':
        'Authorization, Content-Type, DPoP, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, X-Requested-With, X-Trace',
      'access-control-max-age': '600',
      'x-content-type-options': 'nosniff',
      vary: 'Origin',
    });
    expect(headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
    expect(text).not.toMatch(/allow-origin: \*|x-user-id/i);
    expect(gateway.upstream.requests.length).toBe(seen);
  });

  test.each([
    ['an origin that is not listed', '/v1/admin', 'https://evil.test', 403, 'origin_not_allowed'],
    ['null', '/v1/admin', 'null', 403, 'origin_not_allowed'],
    ['a longer host', '/v1/admin', `${app}.evil.test`, 403, 'origin_not_allowed'],
    ['a host that ends with ours', '/v1/admin', 'https://evilapp.example.test', 403, 'origin_not_allowed'],
    ['another scheme', '/v1/admin', 'http://app.example.test', 403, 'origin_not_allowed'],
    ['another port', '/v1/admin', `${app}:8443`, 403, 'origin_not_allowed'],
    ['another case', '/v1/admin', 'https://APP.example.test', 403, 'origin_not_allowed'],
    ['a slash at the end', '/v1/admin', `${app}/`, 403, 'origin_not_allowed'],
    ['two origins in one', '/v1/admin', `${app} https://evil.test`, 403, 'origin_not_allowed'],
    ['an empty origin', '/v1/admin', '', 403, 'origin_not_allowed'],
    ['a path without a route', '/v1/nothing', app, 404, 'no_route'],
    ['a path of the internal listener', '/internal/users/1', app, 404, 'no_route'],
    ['an ambiguous target', '/v1/../admin', app, 400, 'invalid_target'],
    ['the target *', '*', app, 400, 'invalid_target'],
  ])('gets a refused preflight for %s', async (_name, path, origin, expected, expectedCode) => {
    const { status, code, headers } = await preflight(path, origin);
    expect([status, code]).toEqual([expected, expectedCode]);
    expect(headers['access-control-allow-methods']).toBeUndefined();
    if (expected === 403) expect(corsOf(headers)).toEqual([]);
    expect(headers.vary).toBe('Origin');
    expect(gateway.upstream.requests.length).toBe(seen);
  });

  test('is refused with two Origin headers', async () => {
    const { status, code } = await send('GET /v1/open/1', `Origin: ${app}\r\nOrigin: https://evil.test\r\n`);
    expect([status, code]).toEqual([400, 'invalid_request']);
    expect(gateway.upstream.requests.length).toBe(seen);
  });

  test('reads answers with the gateway’s CORS headers, and the service gets Origin', async () => {
    const { status, headers, text } = await send('GET /v1/open/1', `Origin: ${app}\r\n`);
    expect(status).toBe(200);
    expect(headers).toMatchObject({ 'access-control-allow-origin': app, 'access-control-allow-credentials': 'true' });
    expect(headers['access-control-expose-headers']).toBe(
      'X-Request-Id, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, DPoP-Nonce, ETag, Location, Link',
    );
    expect(text.match(/^access-control-allow-origin:/gim)).toHaveLength(1);
    expect(text.match(/^vary: .*$/gim)).toEqual(['Vary: Accept-Encoding', 'vary: Origin']);
    expect(text).not.toMatch(/TRACE|X-Inner/);
    expect(gateway.upstream.last().headers.origin).toBe(app);
  });

  test.each([
    ['GET /v1/things/1', '', 401, 'token_missing'],
    ['GET /v1/admin', 'token', 403, 'insufficient_role'],
    ['DELETE /v1/admin', '', 405, 'method_not_allowed'],
    ['GET /v1/nothing', '', 404, 'no_route'],
    ['GET /v1//nothing', '', 400, 'invalid_target'],
    ['OPTIONS /v1/admin', '', 405, 'method_not_allowed'],
    ['OPTIONS /v1/things/1', '', 401, 'token_missing'],
  ])('can read why %s was refused', async (line, needs, expected, expectedCode) => {
    const bearer = needs === 'token' ? `Authorization: Bearer ${token}\r\n` : '';
    const { status, code, headers } = await send(line, `Origin: ${app}\r\n${bearer}`);
    expect([status, code]).toEqual([expected, expectedCode]);
    expect(headers).toMatchObject({ 'access-control-allow-origin': app, vary: 'Origin' });
    expect(headers['access-control-expose-headers']).toContain('X-Request-Id');
    expect(gateway.upstream.requests.length).toBe(seen);
  });

  test('opens a WebSocket without the service’s CORS headers', async () => {
    const lines =
      'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
    const ask = (more: string) => gateway.raw(`GET /v1/socket HTTP/1.1\r\n<host>\r\n${lines}${more}\r\n`);
    const { status, text } = await ask(`Origin: ${app}\r\nAuthorization: Bearer ${token}\r\n`);
    expect([status, text.match(/^access-control-allow-origin: .*$/gim)]).toEqual([
      101,
      [`access-control-allow-origin: ${app}`],
    ]);
    const refused = await ask(`Origin: ${app}\r\n`);
    expect([refused.status, refused.headers['access-control-allow-origin']]).toEqual([401, app]);
    const foreign = await ask(`Origin: https://evil.test\r\nAuthorization: Bearer ${token}\r\n`);
    expect([foreign.status, corsOf(foreign.headers)]).toEqual([403, []]);
    expect(gateway.upstream.requests.length).toBe(seen + 1);
  });

  test('can read Retry-After', async () => {
    let answer = await send('GET /v1/limited', `Origin: ${app}\r\n`);
    while (answer.status === 200) answer = await send('GET /v1/limited', `Origin: ${app}\r\n`);
    expect(answer.status).toBe(429);
    expect(answer.headers).toMatchObject({ 'access-control-allow-origin': app, ratelimit: expect.any(String) });
  });

  test.each(['https://evil.test', 'null'])('gets no CORS headers for origin %s', async (origin) => {
    const { status, headers } = await send('GET /v1/open/1', `Origin: ${origin}\r\n`);
    expect(status).toBe(200);
    expect(corsOf(headers)).toEqual([]);
    const refusal = await send('GET /v1/things/1', `Origin: ${origin}\r\n`);
    expect([refusal.status, corsOf(refusal.headers)]).toEqual([401, []]);
  });

  test('a request without Origin only gets Vary', async () => {
    const { headers, text } = await send('GET /v1/open/1', '');
    expect(corsOf(headers)).toEqual([]);
    expect(text).toContain('vary: Origin');
  });

  test('gets no CORS headers from the internal and the admin listener', async () => {
    const { internal, admin } = gateway.running.ports;
    const question = `Origin: ${app}\r\nAccess-Control-Request-Method: GET\r\nHost: gateway.test\r\nConnection: close\r\n`;
    for (const port of [internal, admin]) {
      for (const line of [
        'OPTIONS /.well-known/jwks.json',
        'GET /.well-known/jwks.json',
        'OPTIONS /internal/users/1',
      ]) {
        expect(await rawRequest(port, `${line} HTTP/1.1\r\n${question}\r\n`)).not.toMatch(/access-control/i);
      }
    }
  });

  test('answers get security headers that the service does not send', async () => {
    const { headers } = await send('GET /v1/open/1', '');
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'SAMEORIGIN',
      'referrer-policy': 'origin',
    });
    expect(headers['strict-transport-security']).toMatch(/^max-age=\d+/);
  });
});

describe('without cors in the configuration', () => {
  test("the gateway sends no CORS headers, and forwards the service's", async () => {
    const gateway = await gatewayUnderTest({
      upstream: { answer: (_request, res) => void res.writeHead(200, { 'Access-Control-Allow-Origin': app }).end() },
    });
    const send = (line: string) =>
      gateway.raw(
        `${line} HTTP/1.1\r\n<host>\r\nOrigin: ${app}\r\nAccess-Control-Request-Method: GET\r\n<close>\r\n\r\n`,
      );
    const refused = await send('OPTIONS /v1/admin');
    expect([refused.status, refused.code]).toEqual([405, 'method_not_allowed']);
    expect(refused.text).not.toMatch(/access-control|vary/i);
    const { headers } = await send('GET /v1/open/1');
    expect(headers['access-control-allow-origin']).toBe(app);
    expect(headers).not.toHaveProperty('x-content-type-options');
    await gateway.reload([['trustedProxies: []', `cors: { origins: ["${app}"] }`]]);
    const answer = await send('OPTIONS /v1/admin');
    expect([answer.status, answer.headers['access-control-allow-origin']]).toEqual([204, app]);
    expect(answer.headers).not.toHaveProperty('access-control-allow-credentials');
    await gateway.reload();
    expect((await send('OPTIONS /v1/admin')).status).toBe(405);
    await gateway.close();
  });

  test.each([
    ['origins: ["*"]', 'cors.origins[0]: must be an origin'],
    ['origins: ["null"]', 'cors.origins[0]: must be an origin'],
    ['origins: []', 'cors.origins: must have at least 1 item'],
    ['origins: ["https://a.test/app"]', 'cors.origins[0]: must be an origin'],
    ['origins: ["https://a.test"], headers: ["*"]', 'cors.headers[0]: must be the name of one header, not "*"'],
    ['origins: ["https://a.test"], headers: [X-User-Id]', 'cors.headers[0]: is a header that only the gateway may set'],
    ['origins: ["https://a.test"], expose: ["*"]', 'cors.expose[0]: must be the name of one header, not "*"'],
    ['origins: ["https://a.test"], maxAge: 2d', 'cors.maxAge: must be a duration from 1s to 1d'],
  ])('{ %s } is refused', (cors, problem) => {
    expect(problemsOf(`${exampleHead}${exampleRoutes}cors: { ${cors} }\n`)).toEqual([expect.stringContaining(problem)]);
  });
});
