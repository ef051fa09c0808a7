import { eventually, type TestClock, testClock } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { dpopClient } from './dpop-client.ts';
import { acme, type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';
import { callingServices, sendCall, signCall } from './nested-caller.ts';

const routes = `
  - { name: both, path: /v1/both, methods: [GET], upstream: things, auth: required, allow: { scopes: [orders.read] } }
  - { name: agents, path: /v1/agents, methods: [GET], upstream: things, auth: required, allow: { actors: [agent-1] } }
  - { name: web, path: /v1/web, methods: [GET], upstream: things, auth: required, allow: { clients: [web] } }
  - { name: legal, path: /v1/legal, methods: [GET], upstream: things, auth: required, allow: { claims: { department: [legal], level: [3], "https://a.test/plan": ["3"] } } }
  - { name: jobs, path: /v1/jobs, methods: [GET], upstream: things, auth: required, allow: { clients: [job-1], roles: [batch] } }
  - { name: bound, path: /v1/bound, methods: [GET], upstream: things, auth: required, senderConstrained: required }
  - { name: down, path: /v1/down, methods: [GET], upstream: down, auth: public }
  - { name: broken, path: /v1/broken, methods: [GET], upstream: broken, auth: public }`;
const upstreams = `
  down: { targets: ["http://127.0.0.1:1"], health: { path: /healthz, interval: 1s } }
  broken: { targets: ["http://127.0.0.1:1"], retry: { attempts: 0 }, breaker: { minimum: 5, window: 10s, cooldown: 1m } }`;

type Claims = Readonly<Record<string, unknown>>;
type Explained = Readonly<{
  outcome: { allowed: boolean; code: string | null; warning: string | null };
  stages: readonly { stage: string; verdict: string; notes: readonly string[] }[];
}>;

describe('Explain', () => {
  const services = callingServices();
  let clock: TestClock;
  let gateway: GatewayUnderTest;
  let origin: string;

  beforeAll(async () => {
    clock = testClock(Math.floor(Date.now() / 1000) * 1000);
    gateway = await gatewayUnderTest({
      nowMs: clock.nowMs,
      // Waits until the replay memory is older than the calls that it may have missed.
      isReady: false,
      edits: [
        ...services.edits,
        ['    algorithms: [ES256]\n', '    algorithms: [ES256]\n    machines: { role: role, tenantId: tenant_id }\n'],
        ['upstreams:', `upstreams:${upstreams}`],
        ['\nroutes:', `\nroutes:${routes}`],
      ],
    });
    clock.advance(6_000);
    await eventually(async () => expect(await gateway.running.health.ready()).toMatchObject({ ok: true }));
    origin = `http://127.0.0.1:${gateway.running.ports.admin}`;
  });
  afterAll(async () => {
    await gateway.close();
    services.remove();
  });

  let pages = 0;
  /**
   * A rendered page is reused for a second by its URL. Additional separators make a different URL with the same query.
   */
  const page = async (path: string) => {
    pages += 1;
    return (await fetch(`${origin}${path}${path.includes('?') ? '' : '?'}${'&'.repeat(pages)}`)).text();
  };
  const form = (fields: Record<string, string>) =>
    fetch(`${origin}/console/explain`, { method: 'POST', body: new URLSearchParams(fields) });
  async function explain(fields: Record<string, unknown>): Promise<Explained> {
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${origin}/api/explain`, { method: 'POST', body: JSON.stringify(fields), headers });
    expect(answer.status).toBe(200);
    return (await answer.json()) as Explained;
  }
  /** The form values in the link from the last request. */
  async function carriedOver(): Promise<Record<string, string>> {
    const { requests } = JSON.parse(await page('/api/requests'));
    const text = await page(`/console/requests/${requests[0].id}`);
    const [, query = ''] = /href="\/console\/explain\?([^"]*)"/.exec(text) ?? [];
    const fields = Object.fromEntries(new URLSearchParams(query.replaceAll('&amp;', '&')));
    const shown = await page(`/console/explain?${new URLSearchParams(fields)}`);
    for (const name of Object.keys(fields)) expect([name, shown.includes(`name="${name}"`)]).toEqual([name, true]);
    return fields;
  }

  const machine = { sub: 'job-1', client_id: 'job-1', user_id: undefined, sid: undefined };
  const plan = 'https://a.test/plan';

  test.each<[caller: string, path: string, claims: Claims | undefined, code: string | undefined]>([
    ['an anonymous caller', '/v1/admin', undefined, 'token_missing'],
    ['another role', '/v1/admin', { role: 'agent' }, 'insufficient_role'],
    ['the right role', '/v1/admin', { role: 'admin' }, undefined],
    ['another tenant', '/v1/tenants/none/settings', {}, 'tenant_mismatch'],
    ['the right tenant', `/v1/tenants/${acme}/settings`, {}, undefined],
    ['a scope', '/v1/both', { scope: 'orders.read other' }, undefined],
    ['no scope', '/v1/both', {}, 'insufficient_scope'],
    ['an actor', '/v1/agents', { act: { sub: 'agent-1' } }, undefined],
    ['another actor', '/v1/agents', { act: { sub: 'agent-2' } }, 'actor_not_allowed'],
    ['a client', '/v1/web', {}, undefined],
    ['another client', '/v1/web', { client_id: 'app' }, 'client_not_allowed'],
    ['claims', '/v1/legal', { department: ['it', 'legal'], level: 3, [plan]: '3' }, undefined],
    ['claims of other types', '/v1/legal', { department: 'legal', level: '3', [plan]: '3' }, 'claim_not_allowed'],
    ['a machine', '/v1/jobs', { ...machine, role: 'batch' }, undefined],
    ['a machine with another role', '/v1/jobs', { ...machine, role: 'none' }, 'insufficient_role'],
    ['a token that is not bound to a key', '/v1/bound', {}, 'token_unbound'],
    ['a machine, at a public route', '/v1/open/1', machine, undefined],
    ['a user, at an internal route', '/internal/staff', { role: 'admin' }, 'no_route'],
  ])('decides a request from %s as the gateway did (%s)', async (_caller, path, claims, code) => {
    const token = claims && (await gateway.issuer.accessToken(claims));
    const answer = await gateway.ask(path, token === undefined ? {} : { token });
    expect(answer.code).toBe(code);
    const { outcome } = await explain(await carriedOver());
    expect(outcome).toMatchObject({ allowed: code === undefined, code: code ?? null });
  });

  test.each<[caller: string, target: string, service: string, claims: Claims | undefined, code: string | undefined]>([
    ['a service', '/internal/lookup/1', 'hashed', undefined, undefined],
    ['a service that may not', '/internal/staff', 'stranger', undefined, 'caller_not_allowed'],
    ['a service for an admin', '/internal/staff', 'things', { role: 'admin' }, undefined],
    ['a service for an agent', '/internal/staff', 'things', { role: 'agent' }, 'insufficient_role'],
  ])('decides the call of %s as the gateway did', async (_caller, target, service, claims, code) => {
    let txnToken: string | undefined;
    if (claims !== undefined) {
      await gateway.ask('/v1/things/1', { token: await gateway.issuer.accessToken(claims) });
      txnToken = gateway.upstream.last().headers['txn-token'];
    }
    const call = { target, txnToken };
    const answer = await sendCall(gateway, call, signCall(services.keyOf(service), clock.nowMs(), call));
    expect(answer.code).toBe(code);
    const { outcome } = await explain(await carriedOver());
    expect(outcome).toMatchObject({ allowed: code === undefined, code: code ?? null });
  });

  test('names the issuer to which a client belongs', async () => {
    const fields = { method: 'GET', path: '/v1/things/1', role: 'agent', user: 'u', client: 'web' };
    const caller = 'agent u of example-tenant, through web, issuer http://issuer.test';
    expect(await explain(fields)).toMatchObject({ caller, issuer: 'http://issuer.test' });
    expect(await (await form(fields)).text()).toContain(`as ${caller}`);
    expect(await explain({ method: 'GET', path: '/v1/open/1' })).toMatchObject({ issuer: null });
  });

  test('decides the request of a token that is bound to a key as the gateway did', async () => {
    const client = dpopClient('ES256', clock.nowMs);
    const token = await gateway.issuer.accessToken({ cnf: { jkt: client.thumbprint } });
    const ask = (dpop: string) => gateway.ask('/v1/bound', { headers: { authorization: `DPoP ${token}`, dpop } });
    expect(await ask(client.proof({ url: 'http://gateway.test/v1/bound', token }))).toMatchObject({ status: 200 });
    const fields = await carriedOver();
    expect(fields).toMatchObject({ bound: 'on' });
    expect((await explain(fields)).outcome).toMatchObject({ allowed: true });
    expect(await ask(client.proof({ url: 'http://gateway.test/', token }))).toMatchObject({
      code: 'dpop_proof_mismatch',
    });
    const refused = await carriedOver();
    expect(refused).toMatchObject({ refused: 'dpop_proof_mismatch' });
    expect(await page(`/console/explain?${new URLSearchParams(refused)}`)).toContain(
      'Explain does not check proofs: paste the token',
    );
  });

  test('asks for a token that was refused, because it is not kept', async () => {
    const expired = await gateway.issuer.accessToken({ exp: Math.floor(clock.nowMs() / 1000) - 60 });
    await gateway.ask('/v1/things/1', { token: expired });
    const fields = await carriedOver();
    expect(fields).toEqual({ method: 'GET', path: '/v1/things/1', refused: 'token_expired' });
    const text = await page(`/console/explain?${new URLSearchParams(fields)}`);
    expect(text).toContain('refused with <code>token_expired</code>. The gateway keeps no tokens: paste the token');
    expect(text).toMatch(/<textarea id="token"[^>]* required/);
    expect((await explain({ ...fields, token: expired })).outcome).toMatchObject({ code: 'token_expired' });
    expect(await (await form({ ...fields, token: expired })).text()).toMatch(/<textarea id="token"[^>]* required/);
  });

  test('asks for the service whose signature was refused', async () => {
    await sendCall(gateway, { target: '/internal/staff' }, []);
    const fields = await carriedOver();
    expect(fields).toEqual({ method: 'GET', path: '/internal/staff', refused: 'caller_missing' });
    expect(await page(`/console/explain?${new URLSearchParams(fields)}`)).toMatch(/<input id="service"[^>]* required/);
  });

  test.each<[field: string, fields: Record<string, string>, message: string]>([
    ['method', { method: ' ' }, 'must be an HTTP method, such as GET'],
    ['method', { method: 'G'.repeat(41) }, 'must have at most 40 characters'],
    ['path', { path: '' }, 'must be a path, such as /v1/users?page=2'],
    ['path', { path: `/${'a'.repeat(8192)}` }, 'must have at most 8192 characters'],
    ['role', { role: 'Admin!' }, 'must be a role'],
    ['role', { user: 'u-1' }, 'must not be empty'],
    ['role', { user: 'u-1', client: 'web' }, 'must not be empty'],
    ['role', { tenant: 'acme' }, 'must not be empty'],
    ['role', { role: 'agent', token: 'a.b.c' }, 'must be empty'],
    ['claims', { role: 'agent', claims: 'department' }, 'must be lines of the form'],
    ['issuer', { role: 'agent', issuer: 'https://other.test' }, 'must be an issuer in the configuration'],
    ['token', { token: 'a'.repeat(16_385) }, 'must have at most 16384 characters'],
    ['headers', { headers: 'Authorization: Bearer x', path: '/v1/things/1' }, 'must not contain Authorization'],
    ['scope', { role: 'agent', scope: 'a "' }, 'must be scopes separated by spaces'],
    ['actor', { role: 'agent', actor: '"' }, 'must be visible ASCII'],
  ])('explains at the field %s what is wrong', async (field, fields, message) => {
    const answer = await form({ method: 'GET', path: '/', ...fields });
    const text = await answer.text();
    expect(answer.status).toBe(422);
    const errors = [...text.matchAll(/<p class="error" id="([\w-]+)-error">([^<]*)</g)].map(([, ...error]) => error);
    expect(errors).toEqual([[field, expect.stringContaining(message)]]);
    expect(text).toContain(`aria-describedby="${field}-error`);
  });

  test('accepts a list where a form has lines, and an actor from another issuer', async () => {
    const lists = {
      headers: ['Accept: a/b'],
      scope: ['orders.read'],
      claims: ['level: 3', 'department: legal', `${plan}: "3"`],
    };
    const caller = { role: 'agent', actor: 'https://x.test bot' };
    const answer = await explain({ method: 'GET', path: '/v1/agents', ...lists, ...caller });
    expect(answer).toMatchObject({
      outcome: { code: 'actor_not_allowed', why: 'the actor is bot of https://x.test' },
      identity: { scope: ['orders.read'], act: { sub: 'bot', iss: 'https://x.test' } },
    });
    expect((await explain({ method: 'GET', path: '/v1/legal', ...lists, role: 'agent' })).outcome.code).toBeNull();
  });

  test('explains that a method or path is missing', async () => {
    const answer = await fetch(`${origin}/api/explain`, { method: 'POST' });
    expect(JSON.parse(await answer.text()).errors).toEqual([
      { path: 'method', message: 'must be an HTTP method, such as GET' },
      { path: 'path', message: 'must be a path, such as /v1/users?page=2' },
    ]);
  });

  test('warns that an allowed request would fail, because no target is healthy', async () => {
    await eventually(async () => {
      const { outcome } = await explain({ method: 'GET', path: '/v1/down' });
      expect(outcome).toMatchObject({
        allowed: true,
        warning: expect.stringMatching(/No target of upstream down is healthy.*health check: ECONNREFUSED/),
      });
    });
    const text = await (await form({ method: 'GET', path: '/v1/down' })).text();
    expect(text).toContain('>allowed, but its upstream is unavailable<');
    expect(text).not.toContain('>forwarded<');
  });

  test('warns that an allowed request would be refused, because the circuit breaker is open', async () => {
    for (let count = 0; count < 5; count += 1) await gateway.ask('/v1/broken');
    expect((await gateway.ask('/v1/broken')).code).toBe('upstream_circuit_open');
    const { outcome, stages } = await explain({ method: 'GET', path: '/v1/broken' });
    expect(outcome.warning).toContain('would get 503 upstream_circuit_open now');
    expect(stages.at(-1)).toMatchObject({ stage: 'forward', verdict: 'fails now' });
    expect(stages.at(-1)?.notes).toContain(outcome.warning);
    expect((await explain({ method: 'GET', path: '/v1/open/1' })).outcome.warning).toBeNull();
  });
});
