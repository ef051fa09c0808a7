import { createHash, randomBytes } from 'node:crypto';
import type { ClientHttp2Session, OutgoingHttpHeaders } from 'node:http2';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { type Check, checkRequest, framed, openSession, sendFrame } from './check-client.ts';
import { decisionAt, decisionWithSecret } from './decision-edits.ts';
import { acme, type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';

const secret = randomBytes(32).toString('hex');
const routes = `
  - { name: things, path: "/v1/things/**", methods: [GET, POST], upstream: things, auth: required, body: { maxBytes: 64B } }
  - { name: upload, path: /v1/upload, methods: [POST], upstream: things, auth: required, body: { mode: stream, unsigned: accept }, longLived: accept }
  - { name: limited, path: /v1/limited, methods: [GET], upstream: things, auth: public, limits: [{ requests: 1, per: 1m, by: address }] }
  - { name: socket, path: /v1/socket, methods: [GET], upstream: things, auth: required, websocket: true, longLived: accept }
  - { name: bearer, path: /v1/bearer, methods: [GET], upstream: bearer, auth: optional }
`;

let gateway: GatewayUnderTest;
let session: ClientHttp2Session;
let bearer: readonly [string, string];

beforeAll(async () => {
  gateway = await gatewayUnderTest({
    routes,
    edits: [
      decisionAt('127.0.0.1:0'),
      decisionWithSecret('envoy'),
      ['lifetime: 30s }', 'lifetime: 30s, issuer: "http://127.0.0.1:8090" }'],
    ],
    hasTokenKey: true,
    upstreams: (url) => `
  bearer: { targets: ["${url}"], identity: { token: { header: authorization } } }
  orders: { targets: ["${url}"], identity: { token: {} } }`,
    env: { DECISION_SECRET: secret },
  });
  session = await openSession(`http://127.0.0.1:${gateway.running.ports.decision}`);
  bearer = ['authorization', `Bearer ${await gateway.issuer.accessToken()}`];
});
afterAll(async () => {
  session.close();
  await gateway.close();
});
beforeEach(() => expect(gateway.upstream.requests.length).toBe(0));

const proof = { 'x-countersign-proxy-secret': secret };
const ask = (check: Check = {}, headers: OutgoingHttpHeaders = proof) =>
  sendFrame(session, framed(checkRequest({ ...check, headers: [bearer, ...(check.headers ?? [])] })), {
    ...headers,
  });

test('OK comes with a complete signature, and with every name that the proxy removes', async () => {
  const { httpStatus, grpcStatus, code, set, remove } = await ask({
    path: '/v1/things/1?a=b',
    headers: [['x-request-id', 'of-envoy']],
  });
  expect([httpStatus, grpcStatus, code]).toEqual([200, '0', 0]);
  expect(set).toMatchObject({
    'x-identity': 'user',
    'x-identity-audience': 'things',
    'x-tenant-id': acme,
    'x-forwarded-for': '192.0.2.7',
    'x-forwarded-proto': 'https',
  });
  expect(set['signature-input']).toContain('"@method" "@path" "@query"');
  expect(set.signature).toMatch(/^countersign=:/);
  const removed = ['authorization', 'cookie', 'dpop', 'x-service-id', 'countersign-token'];
  expect(remove).toEqual(expect.arrayContaining(removed));
  expect(remove.filter((name) => name in set)).toEqual([]);
  expect(gateway.log.lines().at(-1)).toMatchObject({
    method: 'GET',
    path: '/v1/things/1',
    status: 200,
    ip: '192.0.2.7',
    client_request_id: 'of-envoy',
  });
});

test("an identity token replaces the client's Authorization, and an anonymous client's is removed", async () => {
  const { set, remove } = await ask({ path: '/v1/bearer' });
  expect([set.authorization, remove.includes('authorization')]).toEqual([
    expect.stringMatching(/^Bearer [\w-]+(?:\.[\w-]+){2}$/),
    false,
  ]);
  expect(set.authorization).not.toBe(bearer[1]);
  const anonymous = await sendFrame(session, framed(checkRequest({ path: '/v1/bearer' })), proof);
  expect([anonymous.code, anonymous.set.authorization]).toEqual([0, undefined]);
  expect(anonymous.remove).toContain('authorization');
});

test.each([
  ['raw_body', { rawBody: '{"a":1}' }],
  ['body', { body: '{"a":1}' }],
] as const)('the signature covers the digest of %s', async (_, body) => {
  const { set } = await ask({ method: 'POST', headers: [['content-type', 'application/json']], size: 7, ...body });
  expect(set['content-digest']).toBe(`sha-256=:${createHash('sha256').update('{"a":1}').digest('base64')}:`);
  expect(set['signature-input']).toContain('"content-type" "content-digest"');
});

test('merged headers are read while none of them can hide a repeated one', async () => {
  expect((await ask({ isMerged: true, headers: [['accept', 'a/b,c/d']] })).code).toBe(0);
});

test('a streamed body may be absent from the call, and a digested one may not', async () => {
  const headers = [['content-length', '9000']] as const;
  expect((await ask({ method: 'POST', path: '/v1/upload', headers })).code).toBe(0);
  const refused = await ask({ method: 'POST', headers: [['content-length', '9']] });
  expect(refused.denied).toMatchObject({ status: 400, code: 'invalid_request' });
});

test('a WebSocket is signed with its key', async () => {
  const { set } = await ask({
    path: '/v1/socket',
    headers: [
      ['upgrade', 'websocket'],
      ['connection', 'Upgrade'],
      ['sec-websocket-key', 'dGhlIHNhbXBsZSBub25jZQ=='],
      ['sec-websocket-version', '13'],
    ],
  });
  expect(set['signature-input']).toContain('"upgrade" "sec-websocket-key"');
});

test('what is left of a limit reaches the client, and a refusal keeps Retry-After', async () => {
  const allowed = await ask({ path: '/v1/limited' });
  expect(allowed.forClient.map(([name, , action]) => [name, action])).toEqual(
    expect.arrayContaining([
      ['ratelimit', 2],
      ['ratelimit-policy', 2],
    ]),
  );
  const { code, denied, set } = await ask({ path: '/v1/limited' });
  expect([code, denied?.status, denied?.code, set]).toEqual([7, 429, 'rate_limited', {}]);
  expect(Number(denied?.headers['retry-after'])).toBeGreaterThan(0);
  expect(denied?.headers).toMatchObject({ 'content-type': 'application/problem+json', 'cache-control': 'no-store' });
});

test('a refusal keeps its challenge', async () => {
  const { code, denied } = await sendFrame(session, framed(checkRequest({})), proof);
  expect([code, denied?.status, denied?.code]).toEqual([16, 401, 'token_missing']);
  expect(denied?.headers['www-authenticate']).toMatch(/^Bearer/);
});

const authorization = ['authorization', 'Bearer a, Bearer b'] as const;

test.each([
  ['a path without a slash', { path: 'v1/things/1' }, 400, 'invalid_target'],
  ['an absolute path', { path: 'http://gateway.test/v1/things/1' }, 400, 'invalid_target'],
  ['a dot segment', { path: '/v1/things/../x' }, 400, 'invalid_target'],
  ['a fragment in the path', { path: '/v1/things/1#x' }, 400, 'invalid_target'],
  ['a query separate from the path', { query: 'a=b' }, 400, 'decision_call_invalid'],
  ['a fragment separate from the path', { fragment: 'x' }, 400, 'decision_call_invalid'],
  ['another host', { host: 'elsewhere.test' }, 421, 'misdirected_request'],
  ['no host', { host: '' }, 400, 'invalid_host'],
  ['no scheme', { scheme: '' }, 400, 'decision_call_invalid'],
  ['no address', { address: '' }, 400, 'decision_call_invalid'],
  ['the path of a socket as address', { address: '@/tmp/x' }, 400, 'decision_call_invalid'],
  ['an unknown enum', { protocol: 7 }, 400, 'decision_call_invalid'],
  ['OPTIONS *', { method: 'OPTIONS', path: '*' }, 403, 'no_decision'],
  ['the metadata', { path: '/.well-known/oauth-protected-resource' }, 403, 'no_decision'],
  ['an identity header', { headers: [['x-user-id', 'evil']] }, 400, 'decision_call_invalid'],
  ['an alias of one', { headers: [['x!user.id', 'evil']] }, 400, 'decision_call_invalid'],
  ['an alias of a header that the proxy removes', { headers: [['x_real_ip', 'evil']] }, 400, 'decision_call_invalid'],
  ['an alias of the header of tokens', { headers: [['countersign_token', 'evil']] }, 400, 'decision_call_invalid'],
  ['a repeated Authorization', { headers: [authorization] }, 400, 'invalid_request'],
  ['a merged list', { isMerged: true, headers: [['content-type', 'a/b,c/d']] }, 400, 'decision_call_invalid'],
  ['both kinds of headers', { more: [[3, Buffer.from('\x0a\x01a')]] }, 400, 'decision_call_invalid'],
  ['a second path', { more: [[4, '/v1/limited']] }, 400, 'decision_call_invalid'],
  ['a number as path', { path: '', more: [[4, 7]] }, 400, 'decision_call_invalid'],
  ['another :path in the headers', { headers: [[':path', '/v1/limited']] }, 400, 'decision_call_invalid'],
  ['extended CONNECT', { headers: [[':protocol', 'websocket']] }, 400, 'decision_call_invalid'],
  ['a line break in a value', { headers: [['accept', 'a\r\nx-user-id: b']] }, 400, 'decision_call_invalid'],
  ['a name that is not a token', { headers: [['a b', 'c']] }, 400, 'decision_call_invalid'],
  ['a name in upper case', { headers: [['Content-Length', '3']] }, 400, 'decision_call_invalid'],
  ['two bodies', { method: 'POST', body: 'a', rawBody: 'b' }, 400, 'decision_call_invalid'],
  ['a part of a body', { method: 'POST', rawBody: 'abc', size: 4 }, 400, 'decision_call_invalid'],
  [
    'a part of a body by its length',
    { method: 'POST', rawBody: 'abc', headers: [['content-length', '4']] },
    400,
    'decision_call_invalid',
  ],
  [
    'a part of a body by its mark',
    { method: 'POST', rawBody: 'abc', headers: [['x-envoy-auth-partial-body', 'true']] },
    400,
    'decision_call_invalid',
  ],
  ['a body over maxBytes', { method: 'POST', rawBody: 'x'.repeat(65) }, 413, 'payload_too_large'],
] as const)('%s is refused, and others are served', async (_, check: Check, status, code) => {
  const [answer, other] = await Promise.all([ask(check), ask()]);
  expect([answer.denied?.status, answer.denied?.code, answer.set]).toEqual([status, code, {}]);
  expect([answer.httpStatus, answer.grpcStatus, answer.code === 0]).toEqual([200, '0', false]);
  expect(other.code).toBe(0);
});

test.each([
  ['no message', Buffer.alloc(0), 'decision_call_invalid', 400],
  ['a cut prefix', Buffer.from([0, 0, 0]), 'decision_call_invalid', 400],
  ['a compressed message', Buffer.from([1, 0, 0, 0, 0]), 'decision_call_invalid', 400],
  ['a message that is too short', Buffer.from([0, 0, 0, 0, 9, 1]), 'decision_call_invalid', 400],
  ['two messages', Buffer.concat([framed(checkRequest({})), framed(checkRequest({}))]), 'decision_call_invalid', 400],
  ['a length beyond the end', framed(Buffer.from([0x0a, 0x7f, 1])), 'decision_call_invalid', 400],
  ['an endless varint', framed(Buffer.alloc(32, 0xff)), 'decision_call_invalid', 400],
  ['groups in groups', framed(Buffer.alloc(2_000, 0x0b)), 'decision_call_invalid', 400],
  ['an empty message', framed(Buffer.alloc(0)), 'decision_call_invalid', 400],
  ['a message of 5 MiB', framed(Buffer.alloc(5 * 1024 * 1024)), 'payload_too_large', 413],
] as const)('%s is refused', async (_, frame, code, status) => {
  const { denied, grpcStatus } = await sendFrame(session, frame, proof);
  expect([denied?.status, denied?.code, grpcStatus]).toEqual([status, code, '0']);
});

test.each([
  ['without the secret', {}],
  ['with another secret', { 'x-countersign-proxy-secret': 'f'.repeat(64) }],
  ['with the secret twice', { 'x-countersign-proxy-secret': [secret, secret] }],
])('a call %s gets 503 without a challenge, and an alarm', async (_, headers) => {
  const { denied, set } = await ask({}, headers);
  expect([denied?.status, denied?.code, set]).toEqual([503, 'proxy_untrusted', {}]);
  expect(denied?.headers['www-authenticate']).toBeUndefined();
  expect(gateway.log.lines().at(-1)).toMatchObject({ alarm: 'proxy_untrusted', status: 503 });
  expect(JSON.stringify(gateway.log.lines())).not.toContain(secret);
});

test.each([
  ['another method of gRPC', { ':path': '/grpc.health.v1.Health/Check' }],
  ['a GET', { ':method': 'GET' }],
  ['another content type', { 'content-type': 'application/json' }],
  ['/decide over HTTP/2', { ':path': '/decide/v1/things/1' }],
] as const)('%s answers 404', async (_, headers) => {
  const { httpStatus, code } = await sendFrame(session, framed(checkRequest({ headers: [bearer] })), {
    ...proof,
    ...headers,
  });
  expect([httpStatus, code]).toEqual([404, undefined]);
  const line = gateway.log.lines().at(-1);
  expect(line).toMatchObject({ status: 404, code: 'no_route' });
  expect(line).not.toHaveProperty('aborted');
});
