import { createHash, randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { rawRequest } from '@countersign/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { decisionAt, decisionFor, decisionWithSecret } from './decision-edits.ts';
import { acme, type GatewayUnderTest, gatewayUnderTest, parseAnswer } from './gateway-under-test.ts';

const secret = randomBytes(32).toString('hex');
const routes = `
  - { name: things, path: "/v1/things/**", methods: [GET], upstream: things, auth: required }
  - { name: admin, path: /v1/admin, methods: [GET], upstream: things, auth: required, allow: { roles: [admin] } }
  - { name: open, path: "/v1/open/**", methods: [GET], upstream: things, auth: public, forward: { cookies: [__Host-rt] } }
  - { name: upload, path: /v1/upload, methods: [POST], upstream: things, auth: required, body: { mode: stream, unsigned: accept }, longLived: accept }
  - { name: bare, path: /v1/bare, methods: [POST], upstream: things, auth: required, body: { mode: none } }
  - { name: socket, path: /v1/socket, methods: [GET], upstream: things, auth: required, websocket: true, longLived: accept }
  - { name: limited, path: /v1/limited, methods: [GET], upstream: things, auth: public, limits: [{ requests: 2, per: 1m, by: address }] }
  - { name: moved, path: "/v2/things/**", methods: [GET], upstream: things, auth: required, rewrite: { prefix: { from: /v2, to: /v1 } } }
`;
/** Calls the endpoint with exactly these headers. */
async function call(
  gateway: GatewayUnderTest,
  line: string,
  headers: Readonly<Record<string, string | undefined>>,
  body = '',
) {
  const lines = Object.entries(headers).flatMap(([name, value]) =>
    value === undefined ? [] : `${name}: ${value}\r\n`,
  );
  const bytes = Buffer.from(`${line} HTTP/1.1\r\n${lines.join('')}Connection: close\r\n\r\n${body}`, 'latin1');
  return parseAnswer(await rawRequest(gateway.running.ports.decision ?? 0, bytes));
}

const editsFor = (proxy: string) => [decisionAt('127.0.0.1:0'), decisionWithSecret(proxy)];

describe('the decision endpoint in the dialect of nginx', () => {
  let gateway: GatewayUnderTest;
  let token: string;
  beforeAll(async () => {
    gateway = await gatewayUnderTest({ routes, edits: editsFor('nginx'), env: { DECISION_SECRET: secret } });
    token = await gateway.issuer.accessToken();
  });
  afterAll(() => gateway.close());
  beforeEach(() => expect(gateway.upstream.requests.length).toBe(0));

  const ask = (over: Readonly<Record<string, string | undefined>> = {}, path = '/decide') =>
    call(gateway, `GET ${path}`, {
      Host: 'gateway.test',
      'X-Countersign-Proxy-Secret': secret,
      'X-Countersign-Method': 'GET',
      'X-Countersign-Target': '/v1/things/1?a=b',
      'X-Countersign-Scheme': 'https',
      'X-Countersign-Address': '192.0.2.7',
      Authorization: `Bearer ${token}`,
      ...over,
    });

  test('a permitted request gets 200 with a complete signature over the target that the service will see', async () => {
    const { status, headers, body } = await ask();
    expect([status, body]).toEqual([200, '']);
    expect(headers).toMatchObject({
      'x-identity': 'user',
      'x-identity-audience': 'things',
      'x-tenant-id': acme,
      'x-forwarded-for': '192.0.2.7',
      'x-forwarded-proto': 'https',
      'x-countersign-target': '/v1/things/1?a=b',
      'cache-control': 'no-store',
    });
    expect(headers['signature-input']).toContain('"@method" "@path" "@query"');
    expect(headers.signature).toMatch(/^countersign=:/);
    const moved = await ask({ 'X-Countersign-Target': '/v2/things/1' });
    expect(moved.headers['x-countersign-target']).toBe('/v1/things/1');
  });

  test('a refusal is never a page, because the proxy reads its headers', async () => {
    const navigation = { Accept: 'text/html', 'Sec-Fetch-Mode': 'navigate' };
    const { headers, code } = await ask({ ...navigation, Authorization: undefined });
    expect([headers['content-type'], code]).toEqual(['application/problem+json', 'token_missing']);
  });

  test.each([
    ['no token', { Authorization: undefined }, 401, 'token_missing'],
    ['another role', { 'X-Countersign-Target': '/v1/admin' }, 403, 'insufficient_role'],
    ['no route', { 'X-Countersign-Target': '/nowhere' }, 403, 'no_route'],
    ['another method', { 'X-Countersign-Method': 'PUT' }, 403, 'method_not_allowed'],
    ['a target that is not canonical', { 'X-Countersign-Target': '/v1/things/../admin' }, 403, 'invalid_target'],
    ['an absolute target', { 'X-Countersign-Target': 'http://gateway.test/v1/things/1' }, 403, 'invalid_target'],
    ['a target without a slash', { 'X-Countersign-Target': 'v1/things/1' }, 403, 'invalid_target'],
    ['a fragment', { 'X-Countersign-Target': '/v1/things/1#x' }, 403, 'invalid_target'],
    ['OPTIONS *', { 'X-Countersign-Target': '*', 'X-Countersign-Method': 'OPTIONS' }, 403, 'no_decision'],
    ['the metadata', { 'X-Countersign-Target': '/.well-known/oauth-protected-resource' }, 403, 'no_decision'],
    ['another host', { Host: 'elsewhere.test' }, 403, 'misdirected_request'],
    ['no address', { 'X-Countersign-Address': '' }, 403, 'decision_call_invalid'],
    ['no scheme', { 'X-Countersign-Scheme': undefined }, 403, 'decision_call_invalid'],
    ['an alias of a dialect header', { X_Countersign_Target: '/v1/admin' }, 403, 'decision_call_invalid'],
    ['a repeated dialect header', { 'x-countersign-target': '/v1/admin' }, 403, 'decision_call_invalid'],
    ['an identity header', { 'X-User-Id': 'evil' }, 403, 'decision_call_invalid'],
    ['an alias of an identity header', { 'X.User.Id': 'evil' }, 403, 'decision_call_invalid'],
    [
      'a body where none is allowed',
      { 'X-Countersign-Target': '/v1/bare', 'X-Countersign-Method': 'POST', 'X-Countersign-Content-Length': '3' },
      403,
      'body_not_allowed',
    ],
    ['a spare WebSocket key', { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==' }, 403, 'upgrade_not_allowed'],
  ] as const)('%s is refused with its own status in a header', async (_, over, status, code) => {
    const answer = await ask(over);
    expect([answer.status, answer.code, answer.headers['x-countersign-code']]).toEqual([status, code, code]);
    expect(answer.headers.signature).toBeUndefined();
    if (status === 401) expect(answer.headers['www-authenticate']).toMatch(/^Bearer/);
  });

  test.each([
    ['without the secret', { 'X-Countersign-Proxy-Secret': undefined }],
    ['with another secret', { 'X-Countersign-Proxy-Secret': 'f'.repeat(64) }],
    ['with a shorter secret', { 'X-Countersign-Proxy-Secret': secret.slice(1) }],
    ['with the secret twice', { 'x-countersign-proxy-secret': secret }],
  ] as const)('a call %s gets 503 without a challenge, and an alarm', async (_, over) => {
    const { status, code, headers } = await ask(over);
    expect([status, code, headers['www-authenticate']]).toEqual([503, 'proxy_untrusted', undefined]);
    expect(gateway.log.lines().at(-1)).toMatchObject({ alarm: 'proxy_untrusted' });
  });

  test.each(['/', '/healthz', '/decide/', '/decide?x', '/.well-known/jwks.json', '/metrics'])(
    '%s answers 404',
    async (path) => {
      const { status, code, headers } = await ask({}, path);
      expect([status, code, headers.signature]).toEqual([404, 'no_route', undefined]);
    },
  );

  test('a caller without proof cannot go on uploading', async () => {
    const { port, received } = { port: gateway.running.ports.decision ?? 0, received: [] as Buffer[] };
    const socket = connect(port, '127.0.0.1');
    socket.on('data', (chunk: Buffer) => received.push(chunk)).on('error', () => {});
    socket.write('POST /decide HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000000\r\n\r\n');
    const chunk = Buffer.alloc(64 * 1024);
    const sending = setInterval(() => socket.writable && socket.write(chunk), 1);
    // The end of the connection may come as a reset.
    await new Promise((resolve) => socket.once('close', resolve));
    clearInterval(sending);
    expect(Buffer.concat(received).toString()).toMatch(/^HTTP\/1.1 503 [\s\S]*connection: close/i);
  });

  test('a WebSocket is signed with its key, and one of an old version is refused', async () => {
    const key = 'dGhlIHNhbXBsZSBub25jZQ==';
    const over = { 'X-Countersign-Target': '/v1/socket', 'Sec-WebSocket-Key': key };
    const { status, headers } = await ask({ ...over, 'Sec-WebSocket-Version': '13' });
    expect([status, headers['x-countersign-upgrade']]).toEqual([200, 'websocket']);
    expect(headers['signature-input']).toContain('"upgrade" "sec-websocket-key"');
    expect((await ask(over)).headers['x-countersign-status']).toBe('426');
  });

  test('limits count decisions by the client that the proxy names', async () => {
    const over = { 'X-Countersign-Target': '/v1/limited', Authorization: undefined };
    const asked = async (address: string) =>
      (await ask({ ...over, 'X-Countersign-Address': address })).headers['x-countersign-status'] ?? '200';
    const answers = [];
    for (const address of ['192.0.2.1', '192.0.2.1', '192.0.2.1', '192.0.2.2']) answers.push(await asked(address));
    expect(answers).toEqual(['200', '200', '429', '200']);
  });

  test('the log names the original request and the id that the client gave it', async () => {
    await ask({ 'X-Request-Id': 'from-the-client' });
    expect(gateway.log.lines().at(-1)).toMatchObject({
      method: 'GET',
      path: '/v1/things/1',
      ip: '192.0.2.7',
      client_request_id: 'from-the-client',
    });
    expect(JSON.stringify(gateway.log.lines())).not.toContain(secret);
  });
});

describe('the decision endpoint in the dialects that send the body', () => {
  const bodyRoutes = `
  - { name: things, path: "/v1/things/**", methods: [GET, POST], upstream: things, auth: required, body: { maxBytes: 64B } }
`;
  let traefik: GatewayUnderTest;
  let envoy: GatewayUnderTest;
  beforeAll(async () => {
    const env = { DECISION_SECRET: secret };
    traefik = await gatewayUnderTest({
      routes: bodyRoutes,
      edits: [decisionAt('127.0.0.1:0'), decisionFor('traefik, trust: loopback')],
    });
    envoy = await gatewayUnderTest({ routes: bodyRoutes, edits: editsFor('envoy'), env });
  });
  afterAll(async () => {
    await traefik.close();
    await envoy.close();
  });

  // Like Traefik's forwardAuth with forwardBody: always GET, with the body and its length unchanged.
  const asTraefik = async (over: Readonly<Record<string, string | undefined>> = {}, body = '{"a":1}') =>
    call(
      traefik,
      'GET /decide',
      {
        Host: '127.0.0.1:8091',
        'Content-Length': String(body.length),
        'Content-Type': 'application/json',
        'X-Forwarded-Method': 'POST',
        'X-Forwarded-Proto': 'https',
        'X-Forwarded-Port': '443',
        'X-Forwarded-Host': 'gateway.test',
        'X-Forwarded-Uri': '/v1/things/1',
        'X-Forwarded-For': '192.0.2.7',
        'X-Forwarded-Server': 'edge',
        Authorization: `Bearer ${await traefik.issuer.accessToken()}`,
        ...over,
      },
      body,
    );
  // Like Envoy's ext_authz over HTTP with path_prefix, allowed_headers ".*" and with_request_body.
  const asEnvoy = async (line: string, over: Readonly<Record<string, string | undefined>> = {}, body = '{"a":1}') =>
    call(
      envoy,
      line,
      {
        Host: 'gateway.test',
        'Content-Length': String(body.length),
        'Content-Type': 'application/json',
        'x-forwarded-proto': 'https',
        'x-forwarded-for': '203.0.113.1,192.0.2.7',
        'x-envoy-internal': 'true',
        'x-request-id': 'of-envoy',
        'x-countersign-proxy-secret': secret,
        'x-envoy-auth-partial-body': 'false',
        Authorization: `Bearer ${await envoy.issuer.accessToken()}`,
        ...over,
      },
      body,
    );

  test('the signature covers the body digest', async () => {
    const digest = `sha-256=:${createHash('sha256').update('{"a":1}').digest('base64')}:`;
    for (const { status, headers } of [await asTraefik(), await asEnvoy('POST /decide/v1/things/1')]) {
      expect([status, headers['content-digest'], headers['x-forwarded-for']]).toEqual([200, digest, '192.0.2.7']);
      expect(headers['signature-input']).toContain('"content-type" "content-digest"');
    }
  });

  test('the response tells Envoy which headers to remove', async () => {
    const { headers } = await asEnvoy('POST /decide/v1/things/1');
    const removed = headers['x-envoy-auth-headers-to-remove']?.split(',') ?? [];
    expect(removed).toEqual(expect.arrayContaining(['authorization', 'cookie', 'dpop', 'x-service-id', 'x-client-id']));
    expect(removed.filter((name) => headers[name] !== undefined)).toEqual([]);
  });

  test('a role with the name of a header does not keep that header', async () => {
    const token = await envoy.issuer.accessToken({ role: 'authorization' });
    const { headers } = await asEnvoy('POST /decide/v1/things/1', { Authorization: `Bearer ${token}` });
    expect(Object.values(headers)).toContain('authorization');
    expect(headers['x-envoy-auth-headers-to-remove']?.split(',')).toContain('authorization');
  });

  test.each([
    ['a body over maxBytes', () => asTraefik({}, 'x'.repeat(65)), 413, 'payload_too_large'],
    ['a compressed body', () => asTraefik({ 'Content-Encoding': 'gzip' }), 415, 'unsupported_media_type'],
    ['no method', () => asTraefik({ 'X-Forwarded-Method': undefined }), 400, 'decision_call_invalid'],
    ['no target', () => asTraefik({ 'X-Forwarded-Uri': undefined }), 400, 'decision_call_invalid'],
    ['no address', () => asTraefik({ 'X-Forwarded-For': undefined }), 400, 'decision_call_invalid'],
    ['an alias of the target', () => asTraefik({ X_Forwarded_Uri: '/v1/things/2' }), 400, 'decision_call_invalid'],
    ['the target twice', () => asTraefik({ 'x-forwarded-uri': '/v1/things/2' }), 400, 'decision_call_invalid'],
    ['a target named in Connection', () => asTraefik({ Connection: 'x-forwarded-uri' }), 400, 'decision_call_invalid'],
    [
      'a part of the body',
      () => asEnvoy('POST /decide/v1/things/1', { 'x-envoy-auth-partial-body': 'true' }),
      400,
      'decision_call_invalid',
    ],
    ['no path behind the prefix', () => asEnvoy('POST /decide'), 404, 'no_route'],
    ['a dot segment', () => asEnvoy('GET /decide/v1/things/../x', {}, ''), 400, 'invalid_target'],
    [
      'a preflight',
      () =>
        asEnvoy('OPTIONS /decide/v1/things/1', { origin: 'http://a.test', 'access-control-request-method': 'GET' }, ''),
      405,
      'method_not_allowed',
    ],
    ['no token', () => asEnvoy('POST /decide/v1/things/1', { Authorization: undefined }), 401, 'token_missing'],
  ] as const)('%s is refused with its own status', async (_, asked, status, code) => {
    const answer = await asked();
    expect([answer.status, answer.code, answer.headers.signature]).toEqual([status, code, undefined]);
  });
});
