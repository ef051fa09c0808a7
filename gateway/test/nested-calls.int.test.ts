import { createVerifier, memoryReplay, staticGatewayKeys } from '@countersign/identity';
import { eventually, rawRequest, redisServers, type TestClock, testClock } from '@countersign/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { SignJWT } from 'jose';
import { loadConfig } from '../src/config/load.ts';
import { explain } from '../src/explain/answer.ts';
import { explainQuestion } from '../src/explain/question.ts';
import { acme, type GatewayUnderTest, gatewayUnderTest, parseAnswer } from './gateway-under-test.ts';
import { feedItem } from './issuer-server.ts';
import { callingServices, type NestedCall, sendCall, signCall } from './nested-caller.ts';

type Headers = readonly (readonly [name: string, value: string])[];

describe('a nested call', () => {
  const services = callingServices();
  let clock: TestClock;
  let gateway: GatewayUnderTest;
  /** The txn-token that `things` received with a request from an acme agent. */
  let txnToken: string;
  let requestId: string | undefined;

  beforeAll(async () => {
    clock = testClock(Math.floor(Date.now() / 1000) * 1000);
    gateway = await gatewayUnderTest({ nowMs: clock.nowMs, edits: services.edits });
    clock.advance(6_000); // The replay memory refuses calls that may have been used before it started.
  });
  afterAll(async () => {
    await gateway.close();
    services.remove();
  });
  beforeEach(async () => {
    txnToken = await handedTo('things', { sid: 's-1' });
    requestId = gateway.upstream.last().headers['x-request-id'];
  });

  async function handedTo(service: 'things' | 'hashed', claims: Record<string, unknown> = {}): Promise<string> {
    const token = await gateway.issuer.accessToken(claims);
    const { status } = await gateway.ask(service === 'things' ? '/v1/things/1' : '/v1/hashed', { token });
    expect(status).toBe(200);
    return gateway.upstream.last().headers['txn-token'] ?? '';
  }
  const sign = (call: NestedCall = {}, service = 'things') =>
    signCall(services.keyOf(service), clock.nowMs(), { txnToken, ...call });
  const make = (call: NestedCall = {}, service = 'things') => sendCall(gateway, call, sign(call, service));
  const replaced = (headers: Headers, name: string, value: string): Headers =>
    headers.map(([known, old]) => [known, known === name ? value : old]);
  async function expectRefused(answer: ReturnType<typeof sendCall>, status: number, code: string): Promise<void> {
    const before = gateway.upstream.requests.length;
    const { status: got, code: gotCode, headers } = await answer;
    expect([got, gotCode]).toEqual([status, code]);
    if (status === 401) expect(headers['www-authenticate']).toMatch(/^(Countersign$|Bearer )/);
    expect(gateway.upstream.requests.length).toBe(before);
  }
  const verifyArrived = async () => {
    const { internal } = gateway.running.ports;
    const jwks = await (await fetch(`http://127.0.0.1:${internal}/.well-known/jwks.json`)).json();
    const keys = staticGatewayKeys(jwks as { keys: unknown[] });
    const { method, target, rawHeaders, body } = gateway.upstream.last();
    const verifier = createVerifier({
      audience: 'things',
      keys,
      replay: memoryReplay({ nowMs: () => 0 }),
      nowMs: clock.nowMs,
    });
    return verifier.verify({ method, target, rawHeaders, body });
  };

  const agent = { userId: '01890a5d-ac96-774b-bcce-b302099a8057', role: 'agent', tenantId: acme };

  test.each<[string, string, string, boolean]>([
    ['things', 'GET', '/internal/lookup/7?a=b', true],
    ['things', 'GET', '/internal/lookup/7', false],
    ['things', 'GET', '/internal/staff', true],
    ['things', 'GET', '/internal/tenants/globex', true],
    ['things', 'DELETE', '/internal/staff', true],
    ['things', 'GET', '/v1/things/1', true],
    ['stranger', 'GET', '/internal/lookup/7', false],
  ])('%s: %s %s is forwarded as explain says, for a user: %s', async (serviceId, method, target, isForUser) => {
    const config = loadConfig(gateway.file, { HASHED_SECRET: gateway.hmacSecret });
    const { userId: user, role, tenantId: tenant } = agent;
    const caller = isForUser ? { user, role, tenant, client: 'web' } : {};
    const question = explainQuestion.parse({ method, path: target, service: serviceId, ...caller });
    const sources = { config, nowMs: clock.nowMs(), openIssuer: undefined };
    const { outcome, sends } = await explain(question, sources);
    const before = gateway.upstream.requests.length;
    const { status, code } = await make({ method, target, ...(!isForUser && { txnToken: undefined }) }, serviceId);
    expect([status, code]).toEqual(outcome.allowed ? [200, undefined] : [outcome.status, outcome.code]);
    const [arrived] = gateway.upstream.requests.slice(before);
    expect(arrived?.target).toBe(sends?.target);
    for (const [name, value] of sends?.headers ?? []) {
      expect(arrived?.count(name)).toBe(1);
      if (/^x-(?:identity(?:-audience)?|user-id|user-role|tenant-id|service-id)$/.test(name))
        expect(arrived?.headers[name]).toBe(value);
    }
  });

  test.each([
    ['two Hosts', '/.well-known/jwks.json', 'Host: b\r\n', 'invalid_host'],
    ['an absolute target', 'http://a/.well-known/jwks.json', '', 'invalid_target'],
    ['an empty query', '/.well-known/jwks.json?', '', 'invalid_target'],
    ['a non-canonical length', '/.well-known/jwks.json', 'Content-Length: 00\r\n', 'invalid_request'],
  ])('a key set request with %s is checked like any request', async (_name, target, more, code) => {
    const { internal } = gateway.running.ports;
    const answer = await rawRequest(internal, `GET ${target} HTTP/1.1\r\nHost: a\r\n${more}Connection: close\r\n\r\n`);
    expect(parseAnswer(answer)).toMatchObject({ status: 400, code });
  });

  test("another spelling of a route's path is refused", async () => {
    await expectRefused(make({ target: '/internal/STAFF' }), 400, 'invalid_target');
    await expectRefused(make({ target: '/internal/lookup/1/' }), 400, 'invalid_target');
  });

  test('arrives with a new signature that names the calling service and the user', async () => {
    const call = { method: 'POST', target: '/internal/lookup/7?a=b', body: '{"a":1}', contentType: 'application/json' };
    const { status } = await make(call);
    expect(status).toBe(200);
    expect(await verifyArrived()).toMatchObject({
      kind: 'service',
      serviceId: 'things',
      user: { userId: '01890a5d-ac96-774b-bcce-b302099a8057', role: 'agent', tenantId: acme },
      context: { iss: 'http://issuer.test', sid: 's-1' },
    });
    const arrived = gateway.upstream.last();
    expect(arrived).toMatchObject({ method: 'POST', target: '/internal/lookup/7?a=b', body: Buffer.from(call.body) });
    expect(arrived.headers['x-request-id']).not.toBe(requestId);
    for (const name of ['signature', 'signature-input', 'content-digest', 'txn-token']) {
      expect(arrived.rawHeaders.filter((header) => header.toLowerCase() === name)).toHaveLength(1);
    }
    expect(arrived.headers['signature-input']).not.toContain('countersign-service');
    expect(arrived.headers['x-identity-audience']).toBe('things');
    expect(arrived.headers['txn-token']).not.toBe(txnToken);
  });

  test('without a txn-token has no user, and passes no txn-token on', async () => {
    expect((await make({ txnToken: undefined })).status).toBe(200);
    const identity = await verifyArrived();
    expect(identity).toMatchObject({ kind: 'service', serviceId: 'things' });
    expect(identity).not.toHaveProperty('user');
    expect(gateway.upstream.last().headers).not.toHaveProperty('txn-token');
    expect(gateway.upstream.last().headers).not.toHaveProperty('x-user-id');
  });

  test('logs one line with the id of the original request', async () => {
    await make();
    await eventually(() => {
      const line = gateway.log.lines().find(({ identity, status }) => identity === 'service' && status === 200);
      expect(line).toBeDefined();
      expect(gateway.log.lines().some((one) => one.transaction_id === requestId && one.service_id === 'things')).toBe(
        true,
      );
    });
    expect(gateway.log.text()).not.toContain(txnToken);
  });

  test('identity headers that the service adds never arrive', async () => {
    const call = {};
    const spoofed: Headers = [
      ['X-User-Id', 'admin'],
      ['x-user-role', 'admin'],
      ['x-tenant-id', 'globex'],
      ['x-service-id', 'hashed'],
      ['x-identity', 'user'],
      ['x-forwarded-for', '203.0.113.9'],
      ['authorization', 'Bearer stolen'],
    ];
    const { status } = await sendCall(gateway, call, [...spoofed, ...sign(call)]);
    expect(status).toBe(200);
    const { headers } = gateway.upstream.last();
    expect(headers).toMatchObject({
      'x-identity': 'service',
      'x-service-id': 'things',
      'x-user-role': 'agent',
      'x-tenant-id': acme,
      'x-forwarded-for': '127.0.0.1',
    });
    expect(headers).not.toHaveProperty('authorization');
    await expectRefused(sendCall(gateway, call, spoofed), 401, 'caller_missing');
    await expectRefused(
      sendCall(gateway, call, [['X_User_Id', 'admin'], ...sign(call)]),
      401,
      'caller_signature_refused',
    );
  });

  test.each<[string, number, string, () => ReturnType<typeof sendCall>]>([
    ['unsigned', 401, 'caller_missing', () => sendCall(gateway, {}, [['txn-token', txnToken]])],
    [
      'with a user token instead',
      401,
      'caller_missing',
      async () => sendCall(gateway, {}, [['authorization', `Bearer ${await gateway.issuer.accessToken()}`]]),
    ],
    [
      'with an unknown key',
      401,
      'caller_unknown',
      () =>
        sendCall(gateway, {}, signCall({ ...services.keyOf('things'), keyid: 'unknown' }, clock.nowMs(), { txnToken })),
    ],
    [
      "with another service's key under this keyid",
      401,
      'caller_signature_refused',
      () => {
        const key = { ...services.keyOf('stranger'), keyid: services.keyOf('things').keyid };
        return sendCall(gateway, {}, signCall(key, clock.nowMs(), { txnToken }));
      },
    ],
    [
      'by a service that the route does not name',
      403,
      'caller_not_allowed',
      () => make({ txnToken: undefined }, 'stranger'),
    ],
    ["with another service's txn-token", 401, 'txn_token_foreign', () => make({}, 'hashed')],
    ['to another gateway', 401, 'caller_signature_refused', () => make({ audience: 'gateway-2' })],
    ['in the form before', 401, 'caller_signature_refused', () => make({ form: 'previous' })],
    [
      'with a content-type that was added after signing',
      401,
      'caller_signature_refused',
      () => sendCall(gateway, { contentType: 'text/html' }, sign()),
    ],
    [
      'with a txn-token that was added after signing',
      401,
      'caller_signature_refused',
      () => sendCall(gateway, {}, [['txn-token', txnToken], ...sign({ txnToken: undefined })]),
    ],
    [
      'with its txn-token removed after signing',
      401,
      'caller_signature_refused',
      () =>
        sendCall(
          gateway,
          {},
          sign().filter(([name]) => name !== 'txn-token'),
        ),
    ],
    [
      'with its txn-token replaced after signing',
      401,
      'caller_signature_refused',
      async () => sendCall(gateway, {}, replaced(sign(), 'txn-token', await handedTo('things'))),
    ],
    [
      'with another path than signed',
      401,
      'caller_signature_refused',
      () => sendCall(gateway, { target: '/internal/lookup/2' }, sign()),
    ],
    [
      'with another query than signed',
      401,
      'caller_signature_refused',
      () => sendCall(gateway, { target: '/internal/lookup/1?admin=1' }, sign()),
    ],
    [
      'with another method than signed',
      401,
      'caller_signature_refused',
      () => sendCall(gateway, { method: 'POST' }, sign()),
    ],
    [
      'with a tampered body',
      401,
      'caller_signature_refused',
      () => sendCall(gateway, { method: 'POST', body: '{"b":2}' }, sign({ method: 'POST', body: '{"a":1}' })),
    ],
    ['with a body that was not signed', 400, 'body_not_allowed', () => sendCall(gateway, { body: 'x' }, sign())],
    [
      'with a body on a route without bodies',
      400,
      'body_not_allowed',
      () => make({ method: 'POST', target: '/internal/bodiless', body: 'x' }),
    ],
    ['signed long ago', 401, 'call_expired', () => make({ createdSec: Math.floor(clock.nowMs() / 1000) - 36 })],
    ['signed in the future', 401, 'call_expired', () => make({ createdSec: Math.floor(clock.nowMs() / 1000) + 6 })],
    ['with a lifetime of a year', 401, 'caller_signature_refused', () => make({ lifetimeSec: 31_536_000 })],
    ['for a user without the role', 403, 'insufficient_role', () => make({ target: '/internal/staff' })],
    [
      'without a user on a route that requires a role',
      403,
      'insufficient_role',
      () => make({ target: '/internal/staff', txnToken: undefined }),
    ],
    ['for a user of another tenant', 403, 'tenant_mismatch', () => make({ target: '/internal/tenants/globex' })],
    ['to a route for clients', 404, 'no_route', () => make({ target: '/v1/things/1' })],
    ['to a path without a route', 404, 'no_route', () => make({ target: '/internal/nothing' })],
    ['with a method that is not listed', 405, 'method_not_allowed', () => make({ method: 'DELETE' })],
    [
      'to a target that must be normalized',
      400,
      'invalid_target',
      () => sendCall(gateway, { target: '/internal/x/../lookup/1' }, sign()),
    ],
  ])('%s is refused with %s %s, and nothing arrives', async (_name, status, code, call) => {
    // Some cases first get their own txn-token, and that request does arrive.
    const arrived = () => gateway.upstream.requests.filter(({ target }) => target !== '/v1/things/1').length;
    const before = arrived();
    const { status: got, code: gotCode } = await call();
    expect([got, gotCode]).toEqual([status, code]);
    expect(arrived()).toBe(before);
  });

  const payloadOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
  const headerOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString());
  const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  test.each<[string, () => string | Promise<string>]>([
    [
      'with another role',
      () => {
        const [header, , mac] = txnToken.split('.');
        return `${header}.${encoded({ ...payloadOf(txnToken), role: 'admin' })}.${mac}`;
      },
    ],
    ['without a MAC', () => `${encoded({ ...headerOf(txnToken), alg: 'none' })}.${txnToken.split('.')[1]}.AA`],
    [
      'with a MAC by another gateway’s secret',
      () => new SignJWT(payloadOf(txnToken)).setProtectedHeader(headerOf(txnToken)).sign(Buffer.alloc(32, 7)),
    ],
    [
      'with an unknown kid',
      () =>
        new SignJWT(payloadOf(txnToken))
          .setProtectedHeader({ ...headerOf(txnToken), kid: 'x' })
          .sign(Buffer.alloc(32, 7)),
    ],
    [
      'with a MAC by the public key',
      async () => {
        const { internal } = gateway.running.ports;
        const { keys } = (await (await fetch(`http://127.0.0.1:${internal}/.well-known/jwks.json`)).json()) as {
          keys: { x: string }[];
        };
        const secret = Buffer.from(keys[0]?.x ?? '', 'base64url');
        return new SignJWT(payloadOf(txnToken)).setProtectedHeader(headerOf(txnToken)).sign(secret);
      },
    ],
    ["that is the user's access token", () => gateway.issuer.accessToken()],
  ])('with a txn-token %s is refused', async (_name, forge) => {
    await expectRefused(make({ txnToken: await forge() }), 401, 'txn_token_invalid');
  });

  test('works once: its copy is refused', async () => {
    const headers = sign();
    expect((await sendCall(gateway, {}, headers)).status).toBe(200);
    await expectRefused(sendCall(gateway, {}, headers), 401, 'call_replayed');
  });

  test('with two signatures is refused', async () => {
    await expectRefused(sendCall(gateway, {}, [...sign(), ...sign()]), 401, 'caller_signature_refused');
  });

  test('goes four services deep at most', async () => {
    for (let depth = 1; depth < 4; depth += 1) {
      expect((await make()).status).toBe(200);
      txnToken = gateway.upstream.last().headers['txn-token'] ?? '';
      expect(payloadOf(txnToken)).toMatchObject({ depth: depth + 1, txn: requestId, req_wl: 'things' });
    }
    await expectRefused(make(), 403, 'call_too_deep');
  });

  test("counts against the user's limit, whichever service calls", async () => {
    const call = { target: '/internal/counted' };
    expect((await make(call)).status).toBe(200);
    expect((await make(call)).status).toBe(200);
    await expectRefused(make(call), 429, 'rate_limited');
    txnToken = await handedTo('things', { user_id: 'another-user' });
    expect((await make(call)).status).toBe(200);
  });

  test('the public listener serves no service route, with or without a signature', async () => {
    const lines = sign()
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('');
    const token = await gateway.issuer.accessToken({ role: 'admin' });
    for (const more of ['', lines, `authorization: Bearer ${token}\r\n`]) {
      const before = gateway.upstream.requests.length;
      const answer = await gateway.raw(`GET /internal/lookup/1 HTTP/1.1\r\n<host>\r\n<close>\r\n${more}\r\n`);
      expect([answer.status, answer.code]).toEqual([404, 'no_route']);
      expect(gateway.upstream.requests.length).toBe(before);
    }
  });

  test('the internal listener refuses every upgrade', async () => {
    const upgrade: Headers = [
      ['upgrade', 'websocket'],
      ['connection', 'upgrade'],
      ['sec-websocket-version', '13'],
      ['sec-websocket-key', 'AAAAAAAAAAAAAAAAAAAAAA=='],
    ];
    const answer = sendCall(gateway, {}, [...upgrade, ...sign()]);
    await expectRefused(answer, 400, 'upgrade_not_allowed');
  });

  test('ignores a txn-token that a client sends', async () => {
    const token = await gateway.issuer.accessToken();
    await gateway.ask('/v1/things/1', { token, headers: { 'txn-token': txnToken } });
    expect(gateway.upstream.last().headers['txn-token']).not.toBe(txnToken);
    await gateway.ask('/v1/open/1', { headers: { 'txn-token': txnToken } });
    expect(gateway.upstream.last().headers).not.toHaveProperty('txn-token');
  });

  describe.each([
    ['session', { sid: 's-9' }],
    ['user', { user_id: 'u-9' }],
    ['member', { user_id: 'u-9', tenant_id: acme }],
    ['tenant', { tenant_id: acme }],
    ['client', { client_id: 'web', tenant_id: acme }],
    ['key', { kid: '' }],
  ])('after revocation of the %s', (kind, names) => {
    let own: GatewayUnderTest;
    afterEach(() => own.close());

    test('is refused with a txn-token from before the revocation', async () => {
      let behindMs = 10_000;
      const nowMs = () => Date.now() - behindMs;
      own = await gatewayUnderTest({ edits: services.edits, nowMs });
      behindMs = 0; // The txn-token is younger than the replay memory.
      await own.ask('/v1/things/1', { token: await own.issuer.accessToken({ sid: 's-9', user_id: 'u-9' }) });
      const held = own.upstream.last().headers['txn-token'];
      const nested = () => sendCall(own, {}, signCall(services.keyOf('things'), nowMs(), { txnToken: held }));
      expect((await nested()).status).toBe(200);
      own.issuerServer.revoke(feedItem(kind, kind === 'key' ? { kid: own.issuer.kid } : names));
      await eventually(async () => expect((await nested()).code).toBe('token_revoked'));
      const before = own.upstream.requests.length;
      expect((await nested()).status).toBe(401);
      expect(own.upstream.requests.length).toBe(before);
    });
  });

  test.each(redisServers())(
    'its copy is refused by every gateway that shares the memory: %s',
    async (_kind, { url }) => {
      let aheadMs = 0;
      const nowMs = () => Date.now() + aheadMs;
      const shared = { edits: services.edits, nowMs, ...(url !== undefined && { redis: url }) };
      const one = await gatewayUnderTest(shared);
      const other = url === undefined ? one : await gatewayUnderTest(shared);
      aheadMs = 10_000; // Makes the call younger than a replay memory that has just started.
      const headers = signCall(services.keyOf('things'), nowMs(), {});
      // Until Redis is connected, the gateway cannot know whether the call is a copy, and answers 503.
      await eventually(async () => expect((await sendCall(one, {}, headers)).status).toBe(200));
      await eventually(async () => expect((await sendCall(other, {}, headers)).code).toBe('call_replayed'));
      expect(one.upstream.requests.length + (other === one ? 0 : other.upstream.requests.length)).toBe(1);
      await one.close();
      if (other !== one) await other.close();
    },
  );

  // These run last, since they move the clock forward.
  test('with a txn-token is refused after a minute and the tolerance', async () => {
    clock.advance(64_999);
    expect((await make()).status).toBe(200);
    clock.advance(1);
    await expectRefused(make(), 401, 'txn_token_expired');
  });

  test('accepts a rotated service key within seconds, and refuses the old one', async () => {
    txnToken = await handedTo('things');
    const old = sign();
    services.renew('things');
    await eventually(async () => expect((await make()).status).toBe(200));
    await expectRefused(sendCall(gateway, {}, old), 401, 'caller_unknown');
  });
});
