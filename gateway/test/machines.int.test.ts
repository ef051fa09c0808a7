import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { createVerifier, memoryReplay, staticGatewayKeys } from '@countersign/identity';
import { eventually, type TestClock, testClock } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type AskOptions, acme, type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';
import { feedItem } from './issuer-server.ts';
import { callingServices, type NestedCall, sendCall, signCall } from './nested-caller.ts';

const person = '01890a5d-ac96-774b-bcce-b302099a8057';
const routes = `
  - { name: jobs, path: "/v1/jobs/**", methods: [GET, POST], upstream: things, auth: required, allow: { clients: [job-1, job-2, "${person}"] } }
  - { name: orders, path: /v1/orders, methods: [GET], upstream: things, auth: required, allow: { scopes: [orders.read], clients: any } }
  - { name: both, path: /v1/both, methods: [GET], upstream: things, auth: required, allow: { scopes: [orders.read, orders.write] } }
  - { name: agents, path: /v1/agents, methods: [GET], upstream: things, auth: required, allow: { actors: [agent-1], scopes: [orders.read] } }
  - { name: web, path: /v1/web, methods: [GET], upstream: things, auth: required, allow: { clients: [web] } }
  - { name: legal, path: /v1/legal, methods: [GET], upstream: things, auth: required, allow: { claims: { department: [legal] } } }
  - { name: staff-jobs, path: /v1/staff-jobs, methods: [GET], upstream: things, auth: required, allow: { clients: any, roles: [admin] } }
  - { name: events, path: /v1/events, methods: [GET], upstream: things, auth: required, allow: { clients: any, actors: [agent-1] }, websocket: true }
  - { name: per-user, path: /v1/per-user, methods: [GET], upstream: things, auth: required, allow: { clients: any }, limits: [{ requests: 2, per: 1m, by: user }] }
  - { name: per-client, path: /v1/per-client, methods: [GET], upstream: things, auth: required, allow: { clients: any }, limits: [{ requests: 2, per: 1m, by: client }] }
  - { name: nested-agents, path: /internal/agents, methods: [GET], upstream: things, auth: service, callers: [things], allow: { actors: [agent-1], scopes: [orders.read] } }
  - { name: nested-write, path: /internal/write, methods: [GET], upstream: things, auth: service, callers: [things], allow: { actors: [agent-1], scopes: [orders.write] } }
  - { name: nested-jobs, path: /internal/jobs, methods: [GET], upstream: things, auth: service, callers: [things], allow: { clients: [job-1] } }`;

describe('machines and agents', () => {
  const services = callingServices();
  let clock: TestClock;
  let gateway: GatewayUnderTest;
  let keys: ReturnType<typeof staticGatewayKeys>;

  beforeAll(async () => {
    clock = testClock(Math.floor(Date.now() / 1000) * 1000);
    gateway = await gatewayUnderTest({
      nowMs: clock.nowMs,
      upstream: { upgrade },
      edits: [
        ...services.edits,
        ['    algorithms: [ES256]\n', '    algorithms: [ES256]\n    machines: { role: role, tenantId: tenant_id }\n'],
        ['\nroutes:', `\nscopes: [orders.list]\nwebsockets: { maxPerUser: 1 }\nroutes:${routes}`],
      ],
    });
    clock.advance(6_000); // The replay memory refuses calls that may have been used before it started.
    const { internal } = gateway.running.ports;
    keys = staticGatewayKeys(
      (await (await fetch(`http://127.0.0.1:${internal}/.well-known/jwks.json`)).json()) as { keys: unknown[] },
    );
  });
  afterAll(async () => {
    await gateway.close();
    services.remove();
  });

  const machine = { sub: 'job-1', client_id: 'job-1', user_id: undefined, role: undefined, sid: undefined };
  const agent = { client_id: 'agent-1', scope: 'orders.read', act: { sub: 'agent-1' } };
  const tokenOf = (claims: Record<string, unknown>) => gateway.issuer.accessToken(claims);
  const ask = async (path: string, claims: Record<string, unknown>, options: AskOptions = {}) =>
    gateway.ask(path, { ...options, token: await tokenOf(claims) });

  /** What the service learned of the last request. */
  async function identity() {
    const { method, target, rawHeaders, body } = gateway.upstream.last();
    const replay = memoryReplay({ nowMs: () => 0 });
    return createVerifier({ audience: 'things', keys, replay, nowMs: clock.nowMs }).verify({
      method,
      target,
      rawHeaders,
      body,
    });
  }

  async function expectRefused(
    answer: Promise<Readonly<{ status: number; code: string | undefined }>>,
    refusal: string,
  ) {
    const before = gateway.upstream.requests.length;
    const { status, code } = await answer;
    expect(`${status} ${code}`).toBe(refusal);
    expect(gateway.upstream.requests.length).toBe(before);
  }

  test('a machine arrives as an OAuth client, with the role and tenant from the issuer, and never as a user', async () => {
    expect((await ask('/v1/jobs/1', { ...machine, scope: 'orders.read orders.other' })).status).toBe(200);
    expect(gateway.upstream.last().headers).not.toHaveProperty('x-user-id');
    expect(await identity()).toMatchObject({
      kind: 'client',
      clientId: 'job-1',
      tenantId: acme,
      context: { iss: 'http://issuer.test', scope: ['orders.read'] },
    });
    expect((await identity()).context).not.toHaveProperty('client');
    await ask('/v1/staff-jobs', { ...machine, role: 'admin' });
    expect(await identity()).toMatchObject({ kind: 'client', role: 'admin' });
  });

  test('a machine whose sub names a person is still a machine', async () => {
    const claims = { ...machine, sub: person, client_id: person, user_id: person, role: 'agent' };
    expect((await ask('/v1/jobs/1', claims)).status).toBe(200);
    expect(gateway.upstream.last().headers).toMatchObject({ 'x-identity': 'client', 'x-client-id': person });
    expect(gateway.upstream.last().headers).not.toHaveProperty('x-user-id');
    await expectRefused(ask('/v1/things/1', claims), '403 client_not_allowed');
  });

  test('limits of a machine and of the person with its id are separate', async () => {
    const claims = { ...machine, sub: person, client_id: person };
    for (const path of ['/v1/per-user', '/v1/per-client']) {
      for (const status of [200, 200, 429]) expect((await ask(path, claims)).status).toBe(status);
      for (const status of [200, 200, 429]) expect((await ask(path, { user_id: person })).status).toBe(status);
    }
    // By OAuth client, other users of that OAuth client count too. By user, they do not.
    expect((await ask('/v1/per-user', { user_id: 'u-2' })).status).toBe(200);
    expect((await ask('/v1/per-client', { user_id: 'u-2' })).status).toBe(429);
  });

  test.each<[string, string, () => Record<string, unknown>, string]>([
    ['a machine on a route that names no OAuth client', '/v1/things/1', () => machine, '403 client_not_allowed'],
    ['a machine on an optional route', '/v1/maybe', () => machine, '403 client_not_allowed'],
    [
      'a machine that is not listed',
      '/v1/jobs/1',
      () => ({ ...machine, sub: 'job-3', client_id: 'job-3' }),
      '403 client_not_allowed',
    ],
    [
      'a machine in another case',
      '/v1/jobs/1',
      () => ({ ...machine, sub: 'JOB-1', client_id: 'JOB-1' }),
      '403 client_not_allowed',
    ],
    ['a machine without a role on a route that requires one', '/v1/staff-jobs', () => machine, '403 insufficient_role'],
    ['a machine without the scope', '/v1/orders', () => machine, '403 insufficient_scope'],
    ['azp and client_id that differ', '/v1/jobs/1', () => ({ ...machine, azp: 'job-2' }), '401 token_client_refused'],
    [
      'a machine with a malformed role',
      '/v1/jobs/1',
      () => ({ ...machine, role: 'Admin' }),
      '401 token_claims_invalid',
    ],
    [
      'a machine without a tenant',
      '/v1/jobs/1',
      () => ({ ...machine, tenant_id: undefined }),
      '401 token_claims_invalid',
    ],
    ['a user without the scope', '/v1/orders', () => ({}), '403 insufficient_scope'],
    ['a scope in another case', '/v1/orders', () => ({ scope: 'Orders.Read' }), '403 insufficient_scope'],
    ['scopes with tabs between', '/v1/both', () => ({ scope: 'orders.read\torders.write' }), '403 insufficient_scope'],
    ['scopes with commas between', '/v1/both', () => ({ scope: 'orders.read,orders.write' }), '403 insufficient_scope'],
    [
      'scopes in one item of a list',
      '/v1/both',
      () => ({ scope: ['orders.read orders.write'] }),
      '403 insufficient_scope',
    ],
    ['one of two scopes, twice', '/v1/both', () => ({ scope: 'orders.read orders.read' }), '403 insufficient_scope'],
    ['a scope in quotes', '/v1/orders', () => ({ scope: '"orders.read"' }), '403 insufficient_scope'],
    ['a scope with look-alike letters', '/v1/orders', () => ({ scope: 'оrders.read' }), '403 insufficient_scope'],
    ['a scope that is a number', '/v1/orders', () => ({ scope: 1 }), '401 token_claims_invalid'],
    ['a user through another OAuth client', '/v1/web', () => ({ client_id: 'app' }), '403 client_not_allowed'],
    ['a user without an OAuth client', '/v1/web', () => ({ client_id: undefined }), '403 client_not_allowed'],
    ['another department', '/v1/legal', () => ({ department: 'sales legal' }), '403 claim_not_allowed'],
    ['no department', '/v1/legal', () => ({}), '403 claim_not_allowed'],
    ['an agent on a route without actors', '/v1/things/1', () => agent, '403 actor_not_allowed'],
    ['an agent on an optional route', '/v1/maybe', () => agent, '403 actor_not_allowed'],
    ['an agent of an admin', '/v1/admin', () => ({ ...agent, role: 'admin' }), '403 actor_not_allowed'],
    ['an agent on a route of its client', '/v1/orders', () => agent, '403 actor_not_allowed'],
    ['another agent', '/v1/agents', () => ({ ...agent, act: { sub: 'agent-2' } }), '403 actor_not_allowed'],
    [
      'an agent inside another',
      '/v1/agents',
      () => ({ ...agent, act: { sub: 'agent-2', act: { sub: 'agent-1' } } }),
      '403 actor_not_allowed',
    ],
    [
      'the agent of another issuer',
      '/v1/agents',
      () => ({ ...agent, act: { sub: 'agent-1', iss: 'https://x.test' } }),
      '403 actor_not_allowed',
    ],
    ['an agent without the scope', '/v1/agents', () => ({ ...agent, scope: undefined }), '403 insufficient_scope'],
    ['an act that is a text', '/v1/agents', () => ({ ...agent, act: 'agent-1' }), '401 token_actor_invalid'],
    ['an act that is null', '/v1/things/1', () => ({ ...agent, act: null }), '401 token_actor_invalid'],
    [
      'an act without sub',
      '/v1/agents',
      () => ({ ...agent, act: { client_id: 'agent-1' } }),
      '401 token_actor_invalid',
    ],
    ['nine actors', '/v1/agents', () => ({ ...agent, act: chain(9) }), '401 token_actor_invalid'],
    ['two hundred actors', '/v1/agents', () => ({ ...agent, act: chain(200) }), '401 token_actor_invalid'],
    [
      'an act of 3,000 characters',
      '/v1/agents',
      () => ({ ...agent, act: { sub: 'agent-1', note: 'x'.repeat(3000) } }),
      '401 token_actor_invalid',
    ],
    ['a thousand actors', '/v1/agents', () => ({ ...agent, act: chain(1000) }), '431 headers_too_large'],
  ])('%s is refused, and nothing reaches the service', async (_name, path, claims, refusal) => {
    await expectRefused(ask(path, claims()), refusal);
  });

  test.each<[string, string, Record<string, unknown>]>([
    ['both scopes', '/v1/both', { scope: 'orders.write  openid orders.read' }],
    ['both scopes as a list', '/v1/both', { scope: ['orders.write', 'orders.read'] }],
    ['the client', '/v1/web', { client_id: undefined, azp: 'web' }],
    ['the department', '/v1/legal', { department: ['sales', 'legal'] }],
    ['no actor where some are allowed', '/v1/agents', { scope: 'orders.read' }],
    ['eight actors', '/v1/agents', { ...agent, act: { ...chain(8), sub: 'agent-1' } }],
  ])('a user with %s passes', async (_name, path, claims) => {
    expect((await ask(path, claims)).status).toBe(200);
    expect(await identity()).toMatchObject({ kind: 'user', userId: person });
  });

  test("a refusal for missing scopes names all scopes that the route needs, in the client's scheme", async () => {
    const { headers } = await gateway.raw(
      `GET /v1/both HTTP/1.1\r\n<host>\r\n<close>\r\nAuthorization: Bearer ${await tokenOf({ scope: 'orders.read' })}\r\n\r\n`,
    );
    expect(headers['www-authenticate']).toBe(
      'Bearer error="insufficient_scope", scope="orders.read orders.write", ' +
        'resource_metadata="http://gateway.test/.well-known/oauth-protected-resource/v1/both"',
    );
  });

  describe('on a WebSocket', () => {
    /** Opens a socket, and waits for the response to its handshake. */
    async function open(claims: Record<string, unknown>) {
      const socket = connect(gateway.port, '127.0.0.1');
      socket.write(
        `GET /v1/events HTTP/1.1\r\nHost: gateway.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
          `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\nAuthorization: Bearer ${await tokenOf(claims)}\r\n\r\n`,
      );
      const [first] = (await once(socket, 'data')) as [Buffer];
      return { socket, status: Number(first.toString().split(' ')[1]) };
    }

    test("a machine's sockets are counted apart from those of the person with the same id", async () => {
      const opened = await Promise.all([open({ user_id: 'u-9' }), open({ ...machine, sub: 'u-9', client_id: 'u-9' })]);
      expect(opened.map(({ status }) => status)).toEqual([101, 101]);
      expect((await open({ ...machine, sub: 'u-9', client_id: 'u-9' })).status).toBe(429);
      expect((await open({ user_id: 'u-9' })).status).toBe(429);
      for (const { socket } of opened) socket.destroy();
    });

    test("an agent's socket ends within a second of its user's logout", async () => {
      const { socket, status } = await open({ ...agent, user_id: 'u-8', sid: 's-8' });
      expect(status).toBe(101);
      const closed = once(socket.resume(), 'close');
      const revokedAt = performance.now();
      gateway.issuerServer.revoke(feedItem('session', { sid: 's-8' }));
      await closed;
      expect(performance.now() - revokedAt).toBeLessThan(1_000);
    });
  });

  test('the log names the machine, and both the user and the actor', async () => {
    await ask('/v1/jobs/1', machine);
    await ask('/v1/agents', agent);
    await expectRefused(ask('/v1/things/1', agent), '403 actor_not_allowed');
    await eventually(() => {
      const lines = gateway.log.lines().filter(({ msg }) => msg === 'request');
      expect(lines.slice(-3)).toMatchObject([
        { identity: 'client', client_id: 'job-1', tenant_id: acme },
        { identity: 'user', user_id: person, client_id: 'agent-1', actor: 'agent-1' },
        { user_id: person, actor: 'agent-1', code: 'actor_not_allowed', rule: 'auth: required' },
      ]);
    });
  });

  describe('on nested calls', () => {
    const nested = (target: string, txnToken: string | undefined, more: Partial<NestedCall> = {}) => {
      const call = { target, txnToken, ...more };
      return sendCall(gateway, call, signCall(services.keyOf('things'), clock.nowMs(), call));
    };
    async function handed(path: string, claims: Record<string, unknown>) {
      expect((await ask(path, claims)).status).toBe(200);
      return gateway.upstream.last().headers['txn-token'];
    }

    test('an agent is named with its scopes, which never grow, also over several calls', async () => {
      let txnToken = await handed('/v1/agents', { ...agent, scope: 'orders.read orders.list' });
      for (let depth = 2; depth <= 4; depth += 1) {
        expect((await nested('/internal/agents', txnToken)).status).toBe(200);
        expect(await identity()).toMatchObject({
          kind: 'service',
          serviceId: 'things',
          user: { userId: person },
          context: {
            client: 'agent-1',
            scope: ['orders.read', 'orders.list'],
            act: { sub: 'agent-1', iss: 'http://issuer.test' },
          },
        });
        await expectRefused(nested('/internal/write', txnToken), '403 insufficient_scope');
        await expectRefused(nested('/internal/lookup/1', txnToken), '403 actor_not_allowed');
        txnToken = gateway.upstream.last().headers['txn-token'];
      }
      await expectRefused(nested('/internal/agents', txnToken), '403 call_too_deep');
    });

    test('a machine stays a machine', async () => {
      const txnToken = await handed('/v1/jobs/1', machine);
      expect((await nested('/internal/jobs', txnToken)).status).toBe(200);
      expect(await identity()).toMatchObject({
        kind: 'service',
        serviceId: 'things',
        client: { clientId: 'job-1', tenantId: acme },
      });
      expect(gateway.upstream.last().headers).not.toHaveProperty('x-user-id');
      await expectRefused(nested('/internal/lookup/1', txnToken), '403 client_not_allowed');
      await expectRefused(
        nested('/internal/jobs', await handed('/v1/jobs/1', { ...machine, sub: 'job-2', client_id: 'job-2' })),
        '403 client_not_allowed',
      );
    });

    test('an agent ends when its user is logged out, and a machine when its client is revoked', async () => {
      const asAgent = await handed('/v1/agents', { ...agent, sid: 's-77' });
      const iat = Math.floor(clock.nowMs() / 1000) - 60;
      const asMachine = await handed('/v1/jobs/1', { ...machine, sub: 'job-2', client_id: 'job-2', iat });
      gateway.issuerServer.revoke(feedItem('session', { sid: 's-77' }));
      gateway.issuerServer.revoke(feedItem('client', { client_id: 'job-2', tenant_id: acme }));
      await eventually(async () => expect((await nested('/internal/agents', asAgent)).code).toBe('token_revoked'));
      await expectRefused(nested('/internal/agents', asAgent), '401 token_revoked');
      await eventually(async () => expect((await nested('/internal/jobs', asMachine)).code).toBe('token_revoked'));
      await expectRefused(nested('/internal/jobs', asMachine), '401 token_revoked');
    });
  });

  // Last, since the person stays revoked.
  test('a revoked person does not end a machine with the same id', async () => {
    // Issued before the revocation, which has the system clock's time.
    const iat = Math.floor(clock.nowMs() / 1000) - 60;
    const token = await tokenOf({ user_id: person, iat });
    const machineToken = await tokenOf({ ...machine, sub: person, client_id: person, iat });
    gateway.issuerServer.revoke(feedItem('user', { user_id: person }));
    await eventually(async () => expect((await gateway.ask('/v1/things/1', { token })).code).toBe('token_revoked'));
    expect((await gateway.ask('/v1/jobs/1', { token: machineToken })).status).toBe(200);
  });
});

const key = 'dGhlIHNhbXBsZSBub25jZQ==';

/** The service accepts every WebSocket. */
function upgrade(_request: unknown, socket: Duplex): void {
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  const head = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket';
  socket.write(`${head}\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
}

/** A chain of actors, each nested in the previous one. */
function chain(depth: number): Record<string, unknown> {
  let act: Record<string, unknown> = { sub: `a${depth}` };
  for (let level = depth - 1; level > 0; level -= 1) act = { sub: `a${level}`, act };
  return act;
}
