import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { gatewayKeys, memoryReplay, verifyIdentityToken } from '@countersign/identity';
import { eventually, type RecordedRequest, type TestClock, testClock } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createLocalJWKSet, decodeJwt, type JSONWebKeySet, type JWTPayload, jwtVerify } from 'jose';
import { type AskOptions, acme, type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';
import { feedItem } from './issuer-server.ts';
import { callingServices, sendCall, signCall } from './nested-caller.ts';

const user = '01890a5d-ac96-774b-bcce-b302099a8057';
const issuer = 'https://gateway.internal:8090';
const every = 'callers: [user, client, service]';

/** One upstream for each form that identity can have. */
const forms = {
  orders: '{ token: {} }',
  alone: `{ headers: false, token: { ${every} } }`,
  people: '{ headers: false, token: {} }',
  bearer: '{ headers: false, token: { header: Authorization, bind: none, lifetime: 60s } }',
  copied: '{ token: { bind: none, claims: [department, level, units, email, secret, missing, long] } }',
  passed: '{ token: { header: X-Ours, unauthorized: pass } }',
  signed: '{}',
};

const names = Object.keys(forms);
const routes = names
  .map(
    (name) => `
  - { name: ${name}, path: "/${name}/**", methods: [GET, POST], upstream: ${name}, auth: optional, body: { maxBytes: 64KiB } }
  - { name: ${name}-jobs, path: "/jobs/${name}", methods: [GET], upstream: ${name}, auth: required, allow: { clients: [job-1] } }
  - { name: ${name}-socket, path: "/socket/${name}", methods: [GET], upstream: ${name}, auth: required, websocket: true }
  - { name: ${name}-upload, path: "/upload/${name}", methods: [POST], upstream: ${name}, auth: required, body: { mode: stream } }
  - { name: ${name}-nested, path: "/internal/${name}", methods: [GET], upstream: ${name}, auth: service, callers: [things] }`,
  )
  .join('');

const services = callingServices();
const edits = [
  ...services.edits,
  ['lifetime: 30s }', `lifetime: 30s, issuer: "${issuer}" }`],
  ['    algorithms: [ES256]\n', '    algorithms: [ES256]\n    machines: { role: role, tenantId: tenant_id }\n'],
  ['\nroutes:', `\nroutes:${routes}`],
] as const;
let clock: TestClock;
let gateway: GatewayUnderTest;
let token: string;
let published: JSONWebKeySet;

beforeAll(async () => {
  clock = testClock(Math.floor(Date.now() / 1000) * 1000);
  gateway = await gatewayUnderTest({
    hasTokenKey: true,
    nowMs: clock.nowMs,
    keySets: { cooldownMs: 0 },
    upstream: { answer, upgrade },
    edits,
    upstreams: (url) => names.map((name) => `  ${name}: { targets: ["${url}"], identity: ${form(name)} }`).join('\n'),
  });
  clock.advance(6_000);
  token = await gateway.issuer.accessToken({ sid: 's-1', amr: ['pwd'], auth_time: 1_700_000_000 });
  published = (await internal('/.well-known/identity-token-jwks.json').then((answer) =>
    answer.json(),
  )) as JSONWebKeySet;
});
afterAll(async () => {
  await gateway?.close();
  services.remove();
});

const form = (name: string) => forms[name as keyof typeof forms];

/** Responds with a status from the query, and repeats the token, as a careless service might. */
function answer({ target, headers }: RecordedRequest, response: ServerResponse): void {
  const status = Number(/status=(\d+)/.exec(target)?.[1] ?? 200);
  const token = headers['countersign-token'] ?? headers['x-ours'] ?? headers.authorization ?? '';
  response.writeHead(status, {
    'www-authenticate': 'Bearer resource_metadata="http://evil.test"',
    'Countersign-Token': token,
    'X-Ours': token,
    authorization: token,
  });
  response.end();
}

function upgrade(_request: RecordedRequest, socket: Duplex): void {
  socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
}

const internal = (path: string, method = 'GET') =>
  fetch(`http://127.0.0.1:${gateway.running.ports.internal}${path}`, { method, headers: { connection: 'close' } });

/** Verifies a token as a service does that knows nothing but its own name and the gateway's issuer. */
const verified = async (text: string | undefined, name: string): Promise<JWTPayload> => {
  const keys = createLocalJWKSet(published);
  const wanted = {
    issuer: `${issuer}/${name}`,
    audience: name,
    algorithms: ['ES256'],
    currentDate: new Date(clock.nowMs()),
  };
  return (await jwtVerify(text ?? '', keys, wanted)).payload;
};

/** Sends a request that arrives, and returns the claims of the token that came with it. */
async function claimsAt(name: string, path = `/${name}/1`, options: AskOptions = { token }): Promise<JWTPayload> {
  const { status } = await gateway.ask(path, options);
  expect(status).toBe(200);
  const { headers } = gateway.upstream.last();
  return verified(
    headers['countersign-token'] ?? headers['x-ours'] ?? headers.authorization?.replace('Bearer ', ''),
    name,
  );
}

async function refusalOf(path: string, options: AskOptions): Promise<string> {
  const before = gateway.upstream.requests.length;
  const { status, code } = await gateway.ask(path, options);
  expect(gateway.upstream.requests.length).toBe(before);
  return `${status} ${code}`;
}

const withClaims = async (claims: Record<string, unknown>): Promise<AskOptions> => ({
  token: await gateway.issuer.accessToken(claims),
});
const machine = { sub: 'job-1', client_id: 'job-1', user_id: undefined, role: undefined, sid: undefined };
const digest = (text: string) => createHash('sha256').update(text).digest('base64url');

describe('an identity token', () => {
  test('names the user, for one upstream and one request', async () => {
    const { exp = 0, iat = 0, ...claims } = await claimsAt('orders', '/orders/1?a=b');
    expect(exp - iat).toBe(30);
    expect(claims).toEqual({
      iss: `${issuer}/orders`,
      aud: 'orders',
      sub: user,
      nbf: iat,
      idp: 'http://issuer.test',
      user_id: user,
      role: 'agent',
      tenant_id: acme,
      caller: 'user',
      client_id: 'web',
      sid: 's-1',
      auth_time: 1_700_000_000,
      amr: ['pwd'],
      jti: expect.stringMatching(/^[\w-]{22}$/),
      req: { m: 'GET', t: '/orders/1?a=b' },
    });
    expect(gateway.upstream.last().headers).toMatchObject({ 'x-user-id': user, signature: expect.anything() });
  });

  test('takes the place of the signed headers, except the id of the request', async () => {
    await claimsAt('people');
    const added = Object.keys(gateway.upstream.last().headers).filter((name) =>
      /^(x-(?!forwarded)|sig|countersign)/.test(name),
    );
    expect(added).toEqual(['x-request-id', 'countersign-token']);
  });

  test("replaces the client's Authorization", async () => {
    await claimsAt('bearer');
    expect(gateway.upstream.last().count('authorization')).toBe(1);
    await gateway.ask('/orders/1', { token });
    expect(gateway.upstream.last().headers.authorization).toBeUndefined();
  });

  test.each([
    [
      'a body and its type',
      '/orders/1',
      { method: 'POST', type: 'text/plain', body: 'hi' },
      { m: 'POST', t: '/orders/1', d: digest('hi'), c: 'text/plain' },
    ],
    [
      'an empty body',
      '/orders/a%20b?q=%C3%A9',
      { method: 'POST' },
      { m: 'POST', t: '/orders/a%20b?q=%C3%A9', d: digest('') },
    ],
    ['no streamed body', '/upload/orders', { method: 'POST', body: 'hi' }, { m: 'POST', t: '/upload/orders' }],
  ] as const)('covers %s', async (_what, path, { method, ...rest }, req) => {
    const headers = 'type' in rest ? { 'content-type': rest.type } : {};
    const body = 'body' in rest ? { body: Buffer.from(rest.body) } : {};
    expect(await claimsAt('orders', path, { token, method, headers, ...body })).toMatchObject({ req });
    const { req: found } = decodeJwt(gateway.upstream.last().headers['countersign-token'] as string);
    expect(found).toEqual(req);
    expect(gateway.upstream.last().target).toBe(req.t);
  });

  test('covers an upgrade', async () => {
    const key = 'dGhlIHNhbXBsZSBub25jZQ==';
    await gateway.raw(
      `GET /socket/orders HTTP/1.1\r\n<host>\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\nAuthorization: Bearer ${token}\r\nCountersign-Token: forged\r\n\r\n`,
    );
    const { req } = await verified(gateway.upstream.last().headers['countersign-token'], 'orders');
    expect(req).toEqual({ m: 'GET', t: '/socket/orders', u: 'websocket', k: key });
  });

  test('is refused by another upstream that checks either iss or aud', async () => {
    await claimsAt('orders');
    const text = gateway.upstream.last().headers['countersign-token'] as string;
    const keys = createLocalJWKSet(published);
    const currentDate = new Date(clock.nowMs());
    await expect(jwtVerify(text, keys, { issuer: `${issuer}/alone`, currentDate })).rejects.toThrow('"iss"');
    await expect(jwtVerify(text, keys, { audience: 'alone', currentDate })).rejects.toThrow('"aud"');
  });

  test('is never accepted from a client', async () => {
    await claimsAt('bearer');
    const own = gateway.upstream.last().headers.authorization?.replace('Bearer ', '') ?? '';
    for (const name of names) expect(await refusalOf(`/${name}/1`, { token: own })).toBe('401 token_issuer_unknown');
    const call = await sendCall(gateway, { target: '/internal/orders' }, [['authorization', `Bearer ${own}`]]);
    expect(call.status).toBe(401);
  });

  test('is nothing that an issuer of access tokens can sign', async () => {
    gateway.issuerServer.answerKeys((_request, response) => {
      response.end(JSON.stringify({ keys: [...gateway.issuer.jwks.keys, ...published.keys] }));
    });
    await gateway.ask('/orders/1', { token: await gateway.issuer.accessToken({}, { kid: 'new' }) });
    gateway.issuerServer.answerKeys(undefined);
    const ignored = { kid: published.keys[0]?.kid, reason: 'foreign' };
    expect(gateway.log.lines()).toContainEqual(expect.objectContaining(ignored));
  });

  test("never outlives the caller's token", async () => {
    const nowSec = Math.floor(clock.nowMs() / 1000);
    expect(await claimsAt('orders', '/orders/1', await withClaims({ exp: nowSec + 7 }))).toMatchObject({
      exp: nowSec + 7,
    });
    expect(await refusalOf('/orders/1', await withClaims({ exp: nowSec }))).toBe('401 token_expired');
    expect((await gateway.ask('/signed/1', await withClaims({ exp: nowSec }))).status).toBe(200);
  });

  test.each(['anonymous', 'client:job-1', 'Service:things'])('is not issued for a user called %s', async (user_id) => {
    expect(await refusalOf('/orders/1', await withClaims({ user_id }))).toBe('401 token_claims_invalid');
  });

  test('of 4 KiB or more is not sent', async () => {
    expect(await refusalOf(`/orders/${'a'.repeat(3_000)}`, { token })).toBe('414 uri_too_long');
  });
});

describe('a caller that is not a user', () => {
  test('gets no token where only users do', async () => {
    const client = await withClaims(machine);
    expect((await gateway.ask('/jobs/orders', client)).status).toBe(200);
    expect(gateway.upstream.last().headers).toMatchObject({ 'x-client-id': 'job-1' });
    expect(gateway.upstream.last().headers['countersign-token']).toBeUndefined();
    expect(await refusalOf('/jobs/people', client)).toBe('403 identity_form_unsupported');
    expect(await refusalOf('/jobs/bearer', client)).toBe('403 identity_form_unsupported');
  });

  test('is named as an OAuth client', async () => {
    const { sub, caller, client_id, user_id } = await claimsAt('alone', '/jobs/alone', await withClaims(machine));
    expect({ sub, caller, client_id, user_id }).toEqual({ sub: 'client:job-1', caller: 'client', client_id: 'job-1' });
  });

  test.each(['orders', 'alone', 'people', 'bearer', 'passed'])('gets no token if it is anonymous: %s', async (name) => {
    const forged = { headers: { 'countersign-token': 'e30.e30.', 'x-ours': 'e30.e30.', authorization: 'Basic e30=' } };
    const refused = /headers: false/.test(form(name));
    if (refused) {
      expect(await refusalOf(`/${name}/1`, {})).toBe('403 identity_form_unsupported');
      return;
    }
    const { authorization: _, ...headers } = forged.headers;
    expect((await gateway.ask(`/${name}/1`, { headers })).status).toBe(200);
    expect(gateway.upstream.last().headers).toMatchObject({ 'x-identity': expect.stringContaining('anonymous') });
    for (const header of ['countersign-token', 'x-ours', 'authorization'])
      expect(gateway.upstream.last().headers[header]).toBeUndefined();
  });

  test('is named as a service, also when it acts for a user', async () => {
    await gateway.ask('/v1/things/1', { token });
    const txnToken = gateway.upstream.last().headers['txn-token'];
    const call = async (name: string, txn?: string) => {
      const asked = { target: `/internal/${name}`, txnToken: txn };
      return sendCall(gateway, asked, signCall(services.keyOf('things'), clock.nowMs(), asked));
    };
    expect((await call('alone')).status).toBe(200);
    const own = await verified(gateway.upstream.last().headers['countersign-token'], 'alone');
    expect(own).toMatchObject({ sub: 'service:things', caller: 'service' });
    expect(own).not.toHaveProperty('user_id');
    expect((await call('alone', txnToken)).status).toBe(200);
    const acting = await verified(gateway.upstream.last().headers['countersign-token'], 'alone');
    expect(acting).toMatchObject({
      sub: 'service:things',
      caller: 'service',
      user_id: user,
      role: 'agent',
      tenant_id: acme,
    });
    expect((await call('orders', txnToken)).status).toBe(200);
    expect(gateway.upstream.last().headers['countersign-token']).toBeUndefined();
    expect(await call('people', txnToken)).toMatchObject({ status: 403, code: 'identity_form_unsupported' });
  });
});

describe('the header of a token', () => {
  const spellings = ['countersign-token', 'Countersign_Token', 'COUNTERSIGN.TOKEN', 'x-ours', 'X_Ours', 'x.ours'];

  test.each(names)('comes only from the gateway: %s', async (name) => {
    const lines = spellings.map((header) => `${header}: forged\r\n`).join('');
    const { status } = await gateway.raw(
      `POST /${name}/1 HTTP/1.1\r\n<host>\r\n<close>\r\nAuthorization: Bearer ${token}\r\n${lines}Transfer-Encoding: chunked\r\n\r\n0\r\ncountersign-token: forged\r\nx-ours: forged\r\n\r\n`,
    );
    expect(status).toBe(200);
    const { rawHeaders, rawTrailers } = gateway.upstream.last();
    expect([...rawHeaders, ...rawTrailers]).not.toContain('forged');
  });

  test.each(['orders', 'alone', 'signed'])('comes only from the gateway, also in a nested call: %s', async (name) => {
    const asked = { target: `/internal/${name}` };
    const forged = [...spellings, 'authorization'].map((header) => [header, 'Bearer forged'] as const);
    const headers = [...signCall(services.keyOf('things'), clock.nowMs(), asked), ...forged];
    expect((await sendCall(gateway, asked, headers)).status).toBe(200);
    expect(gateway.upstream.last().rawHeaders.join()).not.toContain('forged');
  });

  test.each(['countersign-token', 'x-ours', 'authorization'])(
    'is not dropped because Connection names %s',
    async (header) => {
      const name = { 'countersign-token': 'orders', 'x-ours': 'passed', authorization: 'bearer' }[header] ?? '';
      const sent =
        header === 'authorization'
          ? `Authorization: Bearer ${token}\r\nConnection: close, x-ours, countersign-token\r\n`
          : `Authorization: Bearer ${token}\r\nConnection: close, ${header}\r\n`;
      const { status } = await gateway.raw(`GET /${name}/1 HTTP/1.1\r\n<host>\r\n${sent}\r\n`);
      expect(status).toBe(200);
      expect(gateway.upstream.last().count(header)).toBe(1);
    },
  );

  test.each(names)("never returns in a service's response: %s", async (name) => {
    const { headers } = await gateway.raw(
      `GET /${name}/1 HTTP/1.1\r\n<host>\r\n<close>\r\nAuthorization: Bearer ${token}\r\n\r\n`,
    );
    expect(headers).not.toHaveProperty('countersign-token');
    expect(headers).not.toHaveProperty('x-ours');
    if (name !== 'signed') expect(headers).not.toHaveProperty('authorization');
  });
});

describe("a service's 401", () => {
  test.each(['orders', 'people', 'bearer'])('is a fault of the gateway, unless it is passed on: %s', async (name) => {
    expect(await gateway.ask(`/${name}/1?status=401`, { token })).toMatchObject({
      status: 502,
      code: 'identity_refused',
    });
  });

  test('that is passed on names no other login', async () => {
    const { status, headers } = await gateway.raw(
      `GET /passed/1?status=401 HTTP/1.1\r\n<host>\r\n<close>\r\nAuthorization: Bearer ${token}\r\n\r\n`,
    );
    expect(status).toBe(401);
    expect(headers).not.toHaveProperty('www-authenticate');
  });
});

describe('an unbound token', () => {
  const sent = async (options: AskOptions = { token }) => {
    expect((await gateway.ask('/bearer/1', options)).status).toBe(200);
    return gateway.upstream.last().headers.authorization;
  };

  test('is reused for a third of its lifetime', async () => {
    const first = await sent();
    clock.advance(19_000);
    expect(await sent()).toBe(first);
    clock.advance(1_000);
    const next = await sent();
    expect(next).not.toBe(first);
    expect(decodeJwt(next?.slice(7) ?? '')).not.toHaveProperty('jti');
    expect(decodeJwt(next?.slice(7) ?? '')).not.toHaveProperty('req');
  });

  test('ends with a logout, and with a change of the configuration', async () => {
    const own = await gateway.issuer.accessToken({ sid: 's-9' });
    const first = await sent({ token: own });
    await gateway.reload([...edits, ['trustedProxies: []', 'trustedProxies: ["192.0.2.1"]']]);
    clock.advance(1_000);
    expect(await sent({ token: own })).not.toBe(first);
    gateway.issuerServer.revoke(feedItem('session', { sid: 's-9' }));
    await eventually(async () => expect(await refusalOf('/bearer/1', { token: own })).toBe('401 token_revoked'));
  });
});

describe('copied claims', () => {
  test('are those that the upstream names, if they are short, plain and verified', async () => {
    const given = {
      department: 'legal',
      level: 3,
      units: ['a', 'b'],
      email: 'kim@acme.test',
      email_verified: true,
      secret: { nested: true },
      long: 'x'.repeat(255),
      other: 'not named',
    };
    const claims = await claimsAt('copied', '/copied/1', await withClaims(given));
    expect(claims).toMatchObject({ department: 'legal', level: 3, units: ['a', 'b'], email: 'kim@acme.test' });
    for (const name of ['secret', 'long', 'other', 'missing', 'jti']) expect(claims).not.toHaveProperty(name);
    const metrics = await (await gateway.admin('/metrics')).text();
    expect(metrics).toContain('countersign_identity_token_claims_left_out_total{upstream="copied"} 2\n');
  });

  test.each([
    ['an address that is not verified', { email: 'kim@acme.test', email_verified: 'true' }, 'email'],
    ['text that changes its direction', { department: 'a\u202eb' }, 'department'],
    ['control characters', { department: 'a\nb' }, 'department'],
    ['a number that is none', { level: null }, 'level'],
    ['a list of other values', { units: ['a', 1] }, 'units'],
  ])('are left out: %s', async (_what, given, name) => {
    expect(await claimsAt('copied', '/copied/1', await withClaims(given))).not.toHaveProperty(name);
  });
});

describe('published for services', () => {
  const path = '/.well-known/identity-token-jwks.json';

  test('is a key set of its own, of EC keys alone', async () => {
    const answer = await internal(path);
    expect(answer.headers.get('content-type')).toMatch(/^application\/jwk-set\+json/);
    const { keys } = (await answer.json()) as { keys: object[] };
    expect(keys).toEqual([
      expect.objectContaining({ kty: 'EC', crv: 'P-256', alg: 'ES256', use: 'sig', kid: expect.any(String) }),
    ]);
    expect(Object.keys(keys[0] ?? {}).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
    expect(JSON.stringify(await (await internal('/.well-known/jwks.json')).json())).not.toContain('EC');
    expect(await (await gateway.admin(path)).json()).toEqual({ keys });
    expect((await internal(path, 'HEAD')).status).toBe(200);
  });

  test('is the metadata of each upstream that receives tokens', async () => {
    const document = {
      issuer: `${issuer}/orders`,
      jwks_uri: `${issuer}${path}`,
      id_token_signing_alg_values_supported: ['ES256'],
    };
    expect(await (await internal('/orders/.well-known/openid-configuration')).json()).toEqual(document);
    expect(await (await gateway.admin('/orders/.well-known/openid-configuration')).json()).toEqual(document);
    expect((await internal('/signed/.well-known/openid-configuration')).status).toBe(404);
  });

  test.each([path, '/orders/.well-known/openid-configuration'])('is not on the public listener: %s', async (at) => {
    const { status, body } = await gateway.raw(`GET ${at} HTTP/1.1\r\n<host>\r\n<close>\r\n\r\n`);
    expect(status === 200 ? body : '').not.toContain('jwks_uri');
    expect(body).not.toContain('"keys"');
  });
});

describe('verifyIdentityToken', () => {
  const json = { 'content-type': 'application/json' };
  const body = Buffer.from('{"amount":100}');
  test.each([
    ['GET', 'orders', '/orders/1?a=b', {}],
    ['POST', 'orders', '/orders/1', { method: 'POST' as const, headers: json, body }],
    ['POST without a body', 'orders', '/orders/1', { method: 'POST' as const }],
    ['a streamed POST', 'orders', '/upload/orders', { method: 'POST' as const, headers: json, body }],
    ['a token in authorization, without req', 'bearer', '/bearer/1', {}],
    ['a token alone', 'alone', '/alone/1', {}],
  ])('accepts what the gateway sends: %s', async (_case, name, path, request) => {
    const fetched = gatewayKeys({
      url: `http://127.0.0.1:${gateway.running.ports.internal}/.well-known/identity-token-jwks.json`,
      algorithm: 'ES256',
    });
    await fetched.start();
    fetched.stop();
    await gateway.ask(path, { token, ...request });
    const { method, target, rawHeaders, headers, body: received } = gateway.upstream.last();
    const text = headers['countersign-token'] ?? headers.authorization?.slice('Bearer '.length);
    const whole = { method, target, rawHeaders, body: received, stream: path.startsWith('/upload') };
    const options = {
      issuer: `${issuer}/${name}`,
      audience: name,
      keys: fetched,
      replay: memoryReplay({ nowMs: () => 0 }),
      nowMs: clock.nowMs,
    };
    const verify = () => verifyIdentityToken(text as string, whole, options);
    expect(await verify()).toMatchObject({
      kind: 'user',
      userId: user,
      tenantId: acme,
      requestId: headers['x-request-id'],
      context: { iss: 'http://issuer.test', sid: 's-1', amr: ['pwd'], authTime: 1_700_000_000, client: 'web' },
      claims: {},
    });
    if (name === 'bearer') await expect(verify()).resolves.toBeDefined();
    else await expect(verify()).rejects.toMatchObject({ reason: 'replayed' });
  });
});
