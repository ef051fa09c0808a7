import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { acme, type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';

const contract = [
  'x-request-id',
  'x-identity',
  'x-identity-audience',
  'x-identity-context',
  'x-user-id',
  'x-user-role',
  'x-tenant-id',
  'x-service-id',
  'txn-token',
  'content-digest',
  'signature-input',
  'signature',
];
const ofOtherProxies = [
  'Client-Cert',
  'Client-Cert-Chain',
  'X-Client-Cert',
  'X-Client-Cert-Fingerprint',
  'SSL-Client-Verify',
  'SSL_CLIENT_CERT',
  'X-SSL-Client-S-DN',
  'X-ARR-ClientCert',
  'X-Auth-Request-User',
  'X-Auth-Request-Email',
  'X-MS-Client-Principal',
  'X-MS-CLIENT-PRINCIPAL-ID',
  'X-Amzn-Oidc-Identity',
  'X-Amzn-Oidc-Data',
  'X-Goog-IAP-JWT-Assertion',
  'X-Goog-Authenticated-User-Email',
  'CF-Connecting-IP',
  'CF-Access-Authenticated-User-Email',
  'CF-Access-Jwt-Assertion',
  'Impersonate-User',
  'Impersonate-Extra-Scopes',
  'Remote-Groups',
  'Remote-Email',
  'Remote-Name',
  'X-Remote-Group',
  'X-Remote-Extra-Scopes',
  'X-WEBAUTH-USER',
  'X-Consumer-Username',
  'X-Credential-Identifier',
  'X-Authenticated-Userid',
  'X-Authentik-Username',
  'X-Pomerium-Claim-Email',
  'Tailscale-User-Login',
  'OIDC_CLAIM_sub',
  'SM_USER',
  'iv-user',
  'X-SSL-Cert',
  'X-TLS-Client-Cert',
  'X-JWT-Assertion',
  'X-Access-Token',
  'X-Token-User-Email',
  'X-Userinfo',
  'X-Amzn-Mtls-Clientcert',
  'X-Countersign-Status',
  'X-Countersign-Upgrade',
];
const upgrade =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
const user = '01890a5d-ac96-774b-bcce-b302099a8057';

describe('identity headers of a client', () => {
  let gateway: GatewayUnderTest;
  let token: string;
  let seen: number;
  beforeAll(async () => {
    gateway = await gatewayUnderTest({ edits: [['trustedProxies: []', 'headers: { strip: [x-internal-debug] }']] });
    token = await gateway.issuer.accessToken();
  });
  beforeEach(() => {
    seen = gateway.upstream.requests.length;
  });
  afterAll(() => gateway.close());

  const send = (lines: string, path = '/v1/things/1') =>
    gateway.raw(`GET ${path} HTTP/1.1\r\n<host>\r\nAuthorization: Bearer ${token}\r\n${lines}<close>\r\n\r\n`);
  const arrived = () => {
    expect(gateway.upstream.requests.length).toBe(seen + 1);
    return gateway.upstream.last();
  };

  function expectOnlyTheGatewaysWord(): void {
    const { headers, count } = arrived();
    expect(headers).toMatchObject({
      'x-identity': 'user',
      'x-user-id': user,
      'x-user-role': 'agent',
      'x-tenant-id': acme,
    });
    for (const name of contract)
      expect([name, count(name)]).toEqual([
        name,
        ['x-service-id', 'txn-token', 'content-digest'].includes(name) ? 0 : 1,
      ]);
    expect(JSON.stringify(gateway.upstream.last().rawHeaders)).not.toContain('evil');
  }

  test.each(contract)('%s is replaced, in any case, sent once or twice', async (name) => {
    const capitals = name.replace(/(?:^|-)[a-z]/g, (letter) => letter.toUpperCase());
    const { status } = await send(`${name}: evil\r\n${name.toUpperCase()}: evil\r\n${capitals}: evil\r\n`);
    expect(status).toBe(200);
    expectOnlyTheGatewaysWord();
  });

  test.each([
    'X_User_Id',
    'X.User.Id',
    'X-User_Id',
    'x_tenant_id',
    'X~User~Role',
    'x!user!id',
    'X-Identity-Anything',
    'x-users',
    'X-Tenant',
    'X-Service-Name',
    'SIGNATURE_INPUT',
    'Content_Digest',
    'X-Internal-Debug',
    'x_internal_debug',
    'x-middleware-subrequest',
    'X-Original-URL',
    'X-Rewrite-URL',
    'X-HTTP-Method-Override',
    'X-HTTP-Method',
    'X-Method-Override',
    'Forwarded',
    'X-Real-IP',
    'True-Client-IP',
    'X-Client-IP',
    'X-Forwarded-User',
    'X-Forwarded-Prefix',
    'Remote-User',
    'Remote_User',
    'X-Remote-User',
    'Proxy',
    'Proxy-Authorization',
    'Content_Length',
    'Transfer_Encoding',
    'TE',
    'Keep-Alive',
    'HTTP2-Settings',
    ...ofOtherProxies,
  ])('%s never reaches a service', async (name) => {
    const { status } = await send(`${name}: evil\r\n`);
    expect(status).toBe(200);
    expectOnlyTheGatewaysWord();
    expect(Object.keys(arrived().headers)).not.toContain(name.toLowerCase());
  });

  test.each(ofOtherProxies)('%s never reaches a service on a public route or a WebSocket', async (name) => {
    for (const spelling of [name, name.replaceAll(/[-_]/g, '_'), name.toUpperCase(), name.replaceAll('-', '.')]) {
      for (const [path, more] of [
        ['/v1/open/1', '<close>\r\n'],
        ['/v1/socket', upgrade],
      ]) {
        const before = gateway.upstream.requests.length;
        await gateway.raw(
          `GET ${path} HTTP/1.1\r\n<host>\r\nAuthorization: Bearer ${token}\r\n${spelling}: evil\r\n${more}\r\n`,
        );
        expect(gateway.upstream.requests.length).toBe(before + 1);
        expect(JSON.stringify(gateway.upstream.last().rawHeaders)).not.toContain('evil');
      }
    }
  });

  test('Expect: 100-continue changes nothing', async () => {
    const { text } = await send('Expect: 100-continue\r\nX-User-Id: evil\r\n');
    expect(text).toContain('HTTP/1.1 200');
    expectOnlyTheGatewaysWord();
    expect(arrived().headers.expect).toBeUndefined();
  });

  test('the gateway answers Expect: 100-continue with 100, and the identity arrives', async () => {
    const body = '{"a":1}';
    const { text } = await gateway.raw(
      `POST /v1/things HTTP/1.1\r\n<host>\r\nAuthorization: Bearer ${token}\r\nX-User-Id: evil\r\nX-User-Role: admin\r\n` +
        `Expect: 100-continue\r\nContent-Length: ${body.length}\r\n<close>\r\n\r\n${body}`,
    );
    expect(text).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /);
    expect(arrived()).toMatchObject({ headers: { 'x-user-id': user, 'x-user-role': 'agent' } });
    expect(arrived().body.toString()).toBe(body);
  });

  test('Expect: 100-continue without a token is answered 401, never 100', async () => {
    const { status, text } = await gateway.raw(
      'POST /v1/things HTTP/1.1\r\n<host>\r\nExpect: 100-continue\r\nContent-Length: 5\r\n<close>\r\n\r\n',
    );
    expect(status).toBe(401);
    expect(text).not.toContain('100 Continue');
    expect(gateway.upstream.requests.length).toBe(seen);
  });

  test.each([
    'keep-alive, x-user-id, x-tenant-id, signature',
    'close, X_User_Id, signature-input, x-request-id',
    'x-identity',
  ])('Connection: %s removes no header that the gateway sets', async (connection) => {
    const { status } = await gateway.raw(
      `GET /v1/things/1 HTTP/1.1\r\n<host>\r\nAuthorization: Bearer ${token}\r\nX-User-Id: evil\r\nConnection: ${connection}\r\n<close>\r\n\r\n`,
    );
    expect(status).toBe(200);
    expectOnlyTheGatewaysWord();
    expect(arrived().headers.connection).toBe('keep-alive');
  });

  test('Connection removes the client headers that it names', async () => {
    await send('Connection: x-mine\r\nX-Mine: 1\r\nX_Mine: 2\r\nX-Other: 3\r\n');
    const { headers } = arrived();
    expect(headers['x-other']).toBe('3');
    expect(headers['x-mine']).toBeUndefined();
    expect(headers.x_mine).toBeUndefined();
  });

  const endToEnd = [
    ['Cookie', '__Host-rt=refresh'],
    ['Origin', 'http://gateway.test'],
    ['Content-Type', 'text/plain'],
    ['Accept-Language', 'en'],
    ['If-None-Match', '"v1"'],
  ] as const;
  const post = (connection: string) =>
    gateway.raw(
      `POST /v1/open/1 HTTP/1.1\r\n<host>\r\n${endToEnd.map(([name, value]) => `${name}: ${value}\r\n`).join('')}${connection}Content-Length: 3\r\n<close>\r\n\r\nabc`,
    );

  test.each(endToEnd.map(([name]) => name.toLowerCase()))(
    'Connection removes %s, which the gateway reads or forwards, and nothing else',
    async (name) => {
      await post('');
      const { headers: whole } = arrived();
      expect(whole[name]).toBe(endToEnd.find(([each]) => each.toLowerCase() === name)?.[1]);
      for (const spelling of [name, name.toUpperCase(), name.replace('-', '_'), ` close,\t${name} , te`]) {
        seen = gateway.upstream.requests.length;
        expect((await post(`Connection: ${spelling}\r\n`)).status).toBe(200);
        const { headers, body } = arrived();
        const others = endToEnd.flatMap(([each]) => (each.toLowerCase() === name ? [] : [each.toLowerCase()]));
        expect(headers[name]).toBeUndefined();
        expect(others.filter((each) => headers[each] === undefined)).toEqual([]);
        expect(body.toString()).toBe('abc');
      }
    },
  );

  test.each(['authorization', 'Authorization', 'x-mine, AUTHORIZATION'])(
    'Connection: %s removes the token, so a route that requires one refuses the request',
    async (connection) => {
      const { status, code } = await send(`Connection: ${connection}\r\n`);
      expect([status, code]).toEqual([401, 'token_missing']);
      expect(gateway.upstream.requests.length).toBe(seen);
      expect((await send(`Connection: ${connection}\r\n`, '/v1/maybe')).status).toBe(200);
      expect(arrived().headers['x-identity']).toBe('anonymous');
    },
  );

  test.each([
    ['content-length', 'Content-Length: 3\r\n', 'abc'],
    ['transfer-encoding', 'Transfer-Encoding: chunked\r\n', '3\r\nabc\r\n0\r\n\r\n'],
    ['host', 'Content-Length: 3\r\n', 'abc'],
  ])('Connection: %s does not change where the body ends', async (name, framing, body) => {
    const { status } = await gateway.raw(
      `POST /v1/things HTTP/1.1\r\n<host>\r\nAuthorization: Bearer ${token}\r\n${framing}Connection: ${name}\r\n<close>\r\n\r\n${body}`,
    );
    expect(status).toBe(200);
    expect(arrived().body.toString()).toBe('abc');
  });

  test('Connection: content-encoding does not hide that a body is compressed', async () => {
    const { status, code } = await gateway.raw(
      `POST /v1/things HTTP/1.1\r\n<host>\r\nAuthorization: Bearer ${token}\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\nConnection: content-encoding\r\n<close>\r\n\r\nabc`,
    );
    expect([status, code]).toEqual([415, 'unsupported_media_type']);
    expect(gateway.upstream.requests.length).toBe(seen);
  });

  test('are replaced by an anonymous identity on a public route', async () => {
    const { status } = await send(
      'X-User-Id: evil\r\nX_User_Role: evil\r\nX-Identity: user\r\nSignature: evil\r\n',
      '/v1/open/1',
    );
    expect(status).toBe(200);
    const { headers } = arrived();
    expect(headers['x-identity']).toBe('anonymous');
    for (const name of ['x-user-id', 'x-user-role', 'x-tenant-id', 'authorization'])
      expect(headers[name]).toBeUndefined();
    expect(JSON.stringify(arrived().rawHeaders)).not.toContain('evil');
  });

  test('are not forwarded from trailers', async () => {
    const { status } = await gateway.raw(
      `POST /v1/things HTTP/1.1\r\n<host>\r\nAuthorization: Bearer ${token}\r\nTransfer-Encoding: chunked\r\nTrailer: X-User-Id\r\n<close>\r\n\r\n` +
        '3\r\nabc\r\n0\r\nX-User-Id: evil\r\n\r\n',
    );
    expect(status).toBe(200);
    expect(arrived()).toMatchObject({ headers: { 'x-user-id': user, 'content-length': '3' } });
    expect(arrived().headers.trailer).toBeUndefined();
    expect(JSON.stringify(arrived().rawHeaders)).not.toContain('evil');
  });

  test('the gateway overwrites forwarding headers with the connection’s address', async () => {
    await send(
      'X-Forwarded-For: 8.8.8.8\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.test\r\nForwarded: for=evil\r\n',
    );
    const { headers, count } = arrived();
    expect(headers).toMatchObject({
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': 'gateway.test',
    });
    expect(count('x-forwarded-for')).toBe(1);
    expect(headers['x-identity-context']).toContain('ip="127.0.0.1"');
    expect(headers['x-identity-context']).not.toContain('8.8.8.8');
  });

  test('the gateway does not forward credentials', async () => {
    await send('Cookie: lang=en; __Host-rt=evil; theme=dark\r\nDPoP: evil\r\n');
    const { headers } = arrived();
    expect(headers.cookie).toBe('lang=en; theme=dark');
    expect(headers.authorization).toBeUndefined();
    expect(headers.dpop).toBeUndefined();
  });

  test('forwards the refresh cookie on a route that names it', async () => {
    await send('Cookie: lang=en; __Host-rt=r1\r\n', '/v1/open/1');
    expect(arrived().headers.cookie).toBe('lang=en; __Host-rt=r1');
  });

  test.each([
    '\xa0__Host-rt',
    '__Host-rt\xa0',
    '\xc2\xa0__Host-rt',
    '\x85__Host-rt',
    '\xef\xbb\xbf__Host-rt',
    '__host-rt',
  ])('a cookie %j is not forwarded as the refresh cookie, nor instead of it', async (name) => {
    await send(`Cookie: lang=en; ${name}=evil; __Host-rt=r1\r\n`, '/v1/open/1');
    expect(arrived().headers.cookie).toBe('lang=en; __Host-rt=r1');
    seen += 1;
    await send(`Cookie: lang=en; ${name}=evil\r\n`);
    expect(arrived().headers.cookie).toBe('lang=en');
  });

  test.each(['\x0b', '\x0c', '\x1c'])('a cookie name with %j is refused', async (char) => {
    const { status, code } = await send(`Cookie: ${char}__Host-rt=evil\r\n`, '/v1/open/1');
    expect([status, code]).toEqual([400, 'invalid_request']);
    expect(gateway.upstream.requests.length).toBe(seen);
  });

  test.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])(
    'a header named %s has no effect',
    async (name) => {
      const { status } = await send(`${name}: x\r\nX-After: 1\r\n`);
      expect(status).toBe(200);
      expect(arrived().headers).toMatchObject({ 'x-after': '1', 'x-user-id': user });
      expect(arrived().rawHeaders).toContain(name);
    },
  );

  test('refuses an empty header name', async () => {
    const { status, code } = await send(': x\r\n');
    expect([status, code]).toEqual([400, 'invalid_request']);
    expect(gateway.upstream.requests.length).toBe(seen);
  });
});

describe("a service's headers and refusals", () => {
  let gateway: GatewayUnderTest;
  let token: string;
  beforeAll(async () => {
    gateway = await gatewayUnderTest({
      // Enough for two repeats, of which each waits for the next second.
      edits: [['response: 2s', 'response: 3s']],
      upstream: {
        answer(request, res) {
          res.writeEarlyHints({ link: '</evil>', 'x-countersign-status': 'evil', 'x-user-id': 'evil' });
          if (request.target.endsWith('/redirect')) {
            res.writeHead(307, { location: 'http://evil.test/steal' }).end();
          } else if (request.target.endsWith('/refused')) {
            res.writeHead(401, { 'x-identity-refused': 'expired', 'www-authenticate': 'Bearer' }).end('{}');
          } else if (request.target.endsWith('/just-begun')) {
            res
              .writeHead(401, { 'x-identity-refused': 'created_before_start', 'www-authenticate': 'Countersign' })
              .end();
          } else if (request.target.endsWith('/no-keys')) {
            res.writeHead(503, { 'x-identity-unavailable': 'keys_unavailable', 'retry-after': '1' }).end('{}');
          } else if (request.target.endsWith('/denied')) {
            res.writeHead(401, { 'www-authenticate': 'Basic' }).end('mine');
          } else {
            res.writeHead(
              200,
              [
                ['X-User-Id', 'evil'],
                ['X_User_Role', 'evil'],
                ['Signature', 'evil'],
                ['Signature-Input', 'evil'],
                ['X-Identity', 'evil'],
                ['X-Request-Id', 'evil'],
                ['Txn-Token', 'evil'],
                ['X-Powered-By', 'Express'],
                ['Server', 'Express'],
                ['Set-Cookie', 'c=evil; Domain=evil.test'],
                ['X_Tenant.Id', 'evil'],
                ['X-Service-Anything', 'evil'],
                ['Connection', 'x-hop'],
                ['X-Hop', 'evil'],
                ['Set-Cookie', 'a=1; Path=/'],
                ['Set-Cookie', '__Host-rt=evil; Path=/; Secure'],
                ['Set-Cookie', 'b=2; Path=/'],
                ['X-Mine', 'yes'],
                ['Transfer-Encoding', 'chunked'],
                ['Trailer', 'X-Countersign-Status'],
                ...ofOtherProxies.flatMap((name) => [
                  [name, 'evil'],
                  [name.replaceAll('-', '_'), 'evil'],
                ]),
              ].flat(),
            );
            res.addTrailers({ 'X-Countersign-Status': 'evil', 'X-User-Id': 'evil' });
            res.end('ok');
          }
        },
      },
    });
    token = await gateway.issuer.accessToken();
  });
  afterAll(() => gateway.close());
  const get = (path: string) =>
    gateway.raw(`GET ${path} HTTP/1.1\r\n<host>\r\nAuthorization: Bearer ${token}\r\n<close>\r\n\r\n`);

  test('removes identity and hop-by-hop headers from an answer', async () => {
    const { text, headers } = await get('/v1/things/1');
    expect(text).not.toMatch(/evil|Express/);
    expect(headers['x-mine']).toBe('yes');
    expect(headers['x-request-id']).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    expect(text.match(/Set-Cookie: [ab]=\d; Path=\//g)).toHaveLength(2);
    expect(headers['content-security-policy']).toBeUndefined();
  });

  test('passes a redirect to the client', async () => {
    const { status, headers } = await get('/v1/things/redirect');
    expect([status, headers.location]).toEqual([307, 'http://evil.test/steal']);
  });

  test('a service that refuses the gateway’s signature causes a 502 and an alarm, never a 401', async () => {
    const { status, code, headers } = await get('/v1/things/refused');
    expect([status, code]).toEqual([502, 'identity_refused']);
    expect(headers['www-authenticate']).toBeUndefined();
    expect(gateway.log.lines()).toContainEqual(
      expect.objectContaining({
        level: 50,
        msg: 'request',
        code: 'identity_refused',
        alarm: 'identity_refused',
        detail: expect.objectContaining({ reason: 'expired' }),
      }),
    );
  });

  test('after a refusal because the replay memory is new, a GET is signed again in the next two seconds, a POST never', async () => {
    const before = gateway.upstream.requests.length;
    for (const method of ['GET', 'POST'] as const) await gateway.ask('/v1/things/just-begun', { method, token });
    const arrived = gateway.upstream.requests.slice(before);
    expect(arrived.map(({ method }) => method)).toEqual(['GET', 'GET', 'GET', 'POST']);
    const [first, second] = arrived.map(({ headers }) =>
      /;created=(\d+);.*;nonce="([^"]+)"/.exec(headers['signature-input'] ?? '')?.slice(1),
    );
    expect(Number(second?.[0])).toBe(Number(first?.[0]) + 1);
    expect(second?.[1]).not.toBe(first?.[1]);
  });

  test('a refusal because the replay memory is new is 503, without an alarm', async () => {
    const { status, code, headers } = await get('/v1/things/just-begun');
    expect([status, code]).toEqual([503, 'identity_unavailable']);
    expect(headers['retry-after']).toBe('1');
    expect(headers['www-authenticate']).toBeUndefined();
    expect(gateway.log.lines()).toContainEqual(
      expect.objectContaining({
        msg: 'request',
        code: 'identity_unavailable',
        fault: 'upstream',
        detail: expect.objectContaining({ reason: 'created_before_start' }),
      }),
    );
    expect(gateway.log.lines().find((line) => line.code === 'identity_unavailable')).not.toHaveProperty('alarm');
  });

  test('a service that cannot check the signature is 503, with its reason in the log', async () => {
    const { status, code, headers } = await get('/v1/things/no-keys');
    expect([status, code, headers['retry-after']]).toEqual([503, 'identity_unavailable', '1']);
    expect(headers['x-identity-unavailable']).toBeUndefined();
    expect(gateway.log.lines()).toContainEqual(
      expect.objectContaining({
        msg: 'request',
        code: 'identity_unavailable',
        detail: expect.objectContaining({ reason: 'keys_unavailable', upstream: 'things' }),
      }),
    );
  });

  test('passes on the service’s own 401', async () => {
    const { status, headers, body } = await get('/v1/things/denied');
    expect([status, headers['www-authenticate'], body]).toEqual([401, 'Basic', 'mine']);
  });
});

test('headers.strip also removes headers that the gateway reads', async () => {
  const gateway = await gatewayUnderTest({ edits: [['trustedProxies: []', 'headers: { strip: [Cookie] }']] });
  const { status } = await gateway.raw('GET /v1/open/1 HTTP/1.1\r\n<host>\r\nCookie: theme=dark\r\n<close>\r\n\r\n');
  const { headers } = gateway.upstream.last();
  await gateway.close();
  expect(status).toBe(200);
  expect(headers).not.toHaveProperty('cookie');
});

test('a read is sent again in the next second only while the service has time for its response', async () => {
  const refusals = new Map<string, number>();
  const gateway = await gatewayUnderTest({
    upstream: {
      answer({ target }, res) {
        const count = (refusals.get(target) ?? 0) + 1;
        refusals.set(target, count);
        const refuse = () => res.writeHead(503, { 'x-identity-unavailable': 'keys_unavailable' }).end();
        setTimeout(refuse, count < 3 ? 0 : 300);
      },
    },
  });
  const token = await gateway.issuer.accessToken();
  const answers: ReturnType<typeof gateway.ask>[] = [];
  for (let part = 0; part < 20; part += 1) {
    answers.push(gateway.ask(`/v1/things/${part}`, { token }));
    await delay(50);
  }
  const statuses = (await Promise.all(answers)).map(({ status }) => status);
  await gateway.close();
  expect(statuses).toEqual(Array(20).fill(503));
});
