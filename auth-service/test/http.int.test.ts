import type { IdentityClaims } from '@countersign/identity';
import {
  type CapturingLogger,
  capturingLogger,
  databases,
  eventually,
  redisServers,
  type ThrowAway,
} from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import request from 'supertest';
import type { RunningService } from '../src/service.ts';
import type { AuthSchema } from '../src/store/schema.ts';
import { type Call, gatewayItself, type TestGateway, testGateway } from './support/gateway.ts';
import { makePerson, makeTenant, type Person, password, type Tenant, testPasswords } from './support/people.ts';
import { openProbed, probing } from './support/probed-database.ts';
import { issuer, startService } from './support/service.ts';

describe.each(databases())('the auth-service on %s', (_, database) => {
  describe.each(redisServers())('with attempts in %s', (__, { url }) => {
    let store: ThrowAway<AuthSchema>;
    let gateway: TestGateway;
    let service: RunningService;
    let log: CapturingLogger;
    let tenant: Tenant;
    let ann: Person;
    beforeAll(async () => {
      store = await openProbed(database);
      gateway = await testGateway();
      log = capturingLogger();
      service = await startService(store.db, gateway, log.logger, { REDIS_URL: url });
      tenant = await makeTenant(store.db, 'acme');
      ann = await makePerson(store.db, await testPasswords(), [tenant]);
    });
    afterAll(async () => {
      await service.stop();
      await gateway.close();
      await store.close();
    });

    const post = (target: string, body?: unknown, more: Call = {}) =>
      gateway.call(service.port, 'POST', target, { ...more, ...(body !== undefined && { body }) });
    const get = (target: string, as: IdentityClaims) => gateway.call(service.port, 'GET', target, { as });
    const login = async (who = ann) => {
      const { status, body } = await post('/v1/auth/login', { email: who.email, password });
      expect(status).toBe(200);
      return body as Record<string, string> & { user: object; tenant: object };
    };
    const asUser = (sid: string | undefined, who = ann): IdentityClaims => ({
      kind: 'user',
      userId: who.userId,
      role: 'agent',
      tenantId: tenant.id,
      context: { ...(sid !== undefined && { sid }) },
    });
    const feed = async (query = '') => (await get(`/internal/revocations${query}`, gatewayItself)).body;

    test('returns tokens for a password, in the OAuth format', async () => {
      const answer = await post('/v1/auth/login', { email: ann.email, password, tenant: 'acme' });
      expect(answer.status).toBe(200);
      expect(answer.headers['cache-control']).toBe('no-store');
      expect(answer.body).toEqual({
        access_token: expect.any(String),
        token_type: 'Bearer',
        expires_in: 900,
        refresh_token: expect.any(String),
        refresh_expires_in: 14 * 24 * 3600,
        session_id: expect.any(String),
        user: { id: ann.userId, email: ann.email },
        tenant: { id: tenant.id, slug: 'acme', role: 'agent' },
      });
      const keySet = createRemoteJWKSet(new URL(`http://127.0.0.1:${service.port}/.well-known/jwks.json`));
      const { payload } = await jwtVerify(answer.body.access_token, keySet, {
        issuer,
        audience: 'complaints-api',
        typ: 'at+jwt',
      });
      expect(payload).toMatchObject({ sid: answer.body.session_id, user_id: ann.userId, tenant_id: tenant.id });
    });

    test('refreshes a session, ends it at logout, and revokes its tokens', async () => {
      const first = await login();
      const refreshed = await post('/v1/auth/refresh', { refresh_token: first.refresh_token });
      expect(refreshed.status).toBe(200);
      expect(refreshed.body).toMatchObject({ session_id: first.session_id, user: first.user, tenant: first.tenant });
      const before = await feed();
      const waiting = feed(`?log=${before.log}&after=${before.cursor}&wait=30`);
      const out = await post('/v1/auth/logout', undefined, { as: asUser(first.session_id) });
      expect([out.status, out.text]).toEqual([204, '']);
      expect(await waiting).toEqual({
        log: before.log,
        cursor: expect.any(Number),
        complete: true,
        items: [
          {
            kind: 'session',
            sid: first.session_id,
            user_id: ann.userId,
            tenant_id: tenant.id,
            not_before: expect.stringMatching(/:\d\d\.000Z$/),
            expires_at: expect.stringMatching(/Z$/),
          },
        ],
      });
      const dead = await post('/v1/auth/refresh', { refresh_token: refreshed.body.refresh_token });
      expect([dead.status, dead.body.code]).toEqual([401, 'session_revoked']);
      expect((await post('/v1/auth/logout', {}, { as: asUser(first.session_id) })).status).toBe(204);
    });

    test('logs out with a refresh token, even of an ended session, but not with a token that it never issued', async () => {
      const first = await login();
      const other = await login();
      const byToken = (token: unknown, scope?: string) =>
        post('/v1/auth/logout', { refresh_token: token, ...(scope && { scope }) });
      expect((await byToken(first.refresh_token, 'others')).status).toBe(204);
      expect((await post('/v1/auth/refresh', { refresh_token: other.refresh_token })).body.code).toBe(
        'session_revoked',
      );
      expect((await byToken(first.refresh_token)).status).toBe(204);
      expect((await byToken(first.refresh_token)).status).toBe(204);
      const refused = await byToken('A'.repeat(200));
      expect([refused.status, refused.body.code]).toEqual([401, 'invalid_refresh_token']);
      expect((await post('/v1/auth/logout')).status).toBe(401);
      expect((await byToken(first.refresh_token, 'everything')).status).toBe(422);
    });

    test('an old refresh token ends only its own session, whatever scope the request names', async () => {
      const first = await login();
      const bystander = await login();
      const second = await post('/v1/auth/refresh', { refresh_token: first.refresh_token });
      await post('/v1/auth/refresh', { refresh_token: second.body.refresh_token });
      await post('/v1/auth/logout', { refresh_token: first.refresh_token, scope: 'all' });
      expect((await post('/v1/auth/refresh', { refresh_token: bystander.refresh_token })).status).toBe(200);
    });

    test('lists a user’s sessions and ends one of them, but not another user’s', async () => {
      const bob = await makePerson(store.db, await testPasswords(), [tenant]);
      const [here, there] = [await login(bob), await login(bob)];
      const list = await get('/v1/auth/sessions', asUser(here.session_id, bob));
      expect(list.body.items).toHaveLength(2);
      expect(list.body.items).toContainEqual({
        id: here.session_id,
        current: true,
        ip: '192.0.2.7',
        user_agent: 'jest',
        created_at: expect.stringMatching(/Z$/),
        last_used_at: expect.stringMatching(/Z$/),
      });
      const end = (id: string | undefined, who: Person) =>
        gateway.call(service.port, 'DELETE', `/v1/auth/sessions/${id}`, { as: asUser(undefined, who) });
      expect((await end(there.session_id, ann)).status).toBe(404);
      expect((await end('not-an-id', bob)).status).toBe(404);
      expect((await end(there.session_id, bob)).status).toBe(204);
      expect((await get('/v1/auth/sessions', asUser(here.session_id, bob))).body.items).toHaveLength(1);
    });

    test('answers alike for the wrong password, an unknown email and a disabled account', async () => {
      const gone = await makePerson(store.db, await testPasswords(), [tenant]);
      await probing(store.db, (trx) =>
        trx.updateTable('users').set({ status: 'disabled' }).where('id', '=', gone.userId).execute(),
      );
      const attempts = [
        { email: ann.email, password: 'wrong' },
        { email: 'unknown@acme.test', password: 'wrong' },
        { email: gone.email, password },
        { email: ann.email, password, tenant: 'globex' },
      ];
      const answers = await Promise.all(attempts.map((body) => post('/v1/auth/login', body)));
      const seen = answers.map(({ status, body, headers }) => {
        const { request_id: _requestId, ...problem } = body;
        const { date: _date, 'x-request-id': _id, ...rest } = headers;
        return { status, problem, rest };
      });
      expect(seen[0]).toMatchObject({ status: 401, problem: { code: 'invalid_credentials' } });
      for (const other of seen.slice(1)) expect(other).toEqual(seen[0]);
    });

    test.each<[string, unknown, number, string]>([
      ['no body', undefined, 422, 'validation_failed'],
      ['broken JSON', '{"email":', 400, 'invalid_request'],
      ['a query operator for an email', { email: { $gt: '' }, password }, 422, 'validation_failed'],
      ['a list', [{ email: 'a', password }], 422, 'validation_failed'],
      ['a number for a password', { email: 'a@b.test', password: 1 }, 422, 'validation_failed'],
      ['a password of 257 characters', { email: 'a@b.test', password: 'a'.repeat(257) }, 422, 'validation_failed'],
      ['a NUL in the email', { email: 'a\0@b.test', password }, 422, 'validation_failed'],
      ['a lone surrogate', '{"email":"a@b.test","password":"\\ud800"}', 422, 'validation_failed'],
      ['a password of 1 MiB', { email: 'a@b.test', password: 'a'.repeat(2 ** 20 - 100) }, 413, 'payload_too_large'],
      ['an array for an email', { email: ['a@b.test'], password }, 422, 'validation_failed'],
      ['an object with a length member', { email: 'a@b.test', password: { length: 20 } }, 422, 'validation_failed'],
      ['a constructor', '{"constructor":{"prototype":{"email":"a"}},"password":"b"}', 422, 'validation_failed'],
      ['a prototype', '{"__proto__":{"email":"a"},"password":"b"}', 422, 'validation_failed'],
    ])('refuses a login with %s', async (_name, body, status, code) => {
      const answer = await post('/v1/auth/login', body);
      expect([answer.status, answer.body.code]).toEqual([status, code]);
      expect(answer.headers['content-type']).toBe('application/problem+json');
      expect(answer.body.request_id).toBe(answer.headers['x-request-id']);
    });

    test.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'text/json'])(
      'refuses a login with the content type %s',
      async (contentType) => {
        const answer = await post('/v1/auth/login', { email: ann.email, password }, { contentType });
        expect([answer.status, answer.body.code]).toEqual([415, 'unsupported_media_type']);
      },
    );

    test('refuses claims in a body, and uses the last of two members with the same name', async () => {
      const known = `"email":"unknown@acme.test","email":${JSON.stringify(ann.email)},"password":"wrong","password":${JSON.stringify(password)}`;
      const claims = '"role":"admin","tenant_id":"x","is_admin":true,"amr":["pwd","otp"],"__proto__":{"role":"admin"}';
      const refused = await post('/v1/auth/login', `{${known},${claims}}`);
      expect([refused.status, refused.body.errors.map(({ path }: { path: string }) => path)]).toEqual([
        422,
        ['role', 'tenant_id', 'is_admin', 'amr', '__proto__'],
      ]);
      const answer = await post('/v1/auth/login', `{${known}}`);
      // JSON.parse keeps the last of two equal members, and no other parser reads the body.
      expect(answer.body).toMatchObject({ user: { id: ann.userId }, tenant: { role: 'agent' } });
      expect(JSON.parse(Buffer.from(answer.body.access_token.split('.')[1], 'base64url').toString())).toMatchObject({
        role: 'agent',
        amr: ['pwd'],
      });
      expect({}).not.toHaveProperty('role');
    });

    test('counts refreshes by outcome', async () => {
      const counted = async (): Promise<Record<string, number>> => {
        const text = await (await fetch(`http://127.0.0.1:${service.port}/metrics`)).text();
        const found = text.matchAll(/^auth_refreshes_total\{outcome="(\w+)"\} (\d+)$/gm);
        return Object.fromEntries([...found].map(([, outcome, count]) => [outcome, Number(count)]));
      };
      const before = await counted();
      const first = (await login()).refresh_token;
      const refresh = (refresh_token: unknown) => post('/v1/auth/refresh', { refresh_token });
      const second = (await refresh(first)).body.refresh_token;
      await refresh(first);
      await refresh(second);
      await refresh(first);
      await refresh(second);
      await refresh('A'.repeat(200));
      const after = await counted();
      const grown = Object.entries(after).filter(([outcome, count]) => count !== before[outcome]);
      expect(Object.fromEntries(grown.map(([outcome, count]) => [outcome, count - (before[outcome] ?? 0)]))).toEqual({
        rotated: 2,
        repeated: 1,
        reuse: 1,
        revoked: 1,
        invalid: 1,
      });
    });

    test('sends the same Retry-After to every caller after too many attempts', async () => {
      const ip = `2001:db8:${(process.pid % 65_536).toString(16)}:${(Date.now() % 65_536).toString(16)}::1`;
      const guess = (email: string) => post('/v1/auth/login', { email, password: 'wrong' }, { ip });
      for (let count = 0; count < 10; count += 1) expect((await guess(ann.email)).status).toBe(401);
      const refused = await guess(ann.email);
      expect([refused.status, refused.body.code]).toEqual([429, 'too_many_attempts']);
      expect(Number(refused.headers['retry-after'])).toBeGreaterThan(800);
      // Written after the response.
      await eventually(async () => {
        const detail = JSON.stringify({ ip, reason: 'too_many_attempts' });
        const entry = await probing(store.db, (trx) =>
          trx.selectFrom('audit_log').select('action').where('detail', '=', detail).executeTakeFirstOrThrow(),
        );
        expect(entry.action).toBe('login.throttled');
      });
    });

    test('serves its key set publicly, cacheable for five minutes', async () => {
      const answer = await request(`http://127.0.0.1:${service.port}`).get('/.well-known/jwks.json');
      expect(answer.status).toBe(200);
      expect(answer.headers).toMatchObject({ 'cache-control': 'public, max-age=300', etag: expect.any(String) });
      expect(JSON.parse(answer.text).keys).toMatchObject([{ kty: 'EC', crv: 'P-256', alg: 'ES256', use: 'sig' }]);
      expect(answer.text).not.toMatch(/"d"/);
      const again = await request(`http://127.0.0.1:${service.port}`)
        .get('/.well-known/jwks.json')
        .set('if-none-match', String(answer.headers.etag));
      expect([again.status, again.text]).toEqual([304, '']);
    });

    test.each<['GET' | 'POST' | 'DELETE', string]>([
      ['POST', '/v1/auth/login'],
      ['POST', '/v1/auth/login/tenant'],
      ['POST', '/v1/auth/refresh'],
      ['POST', '/v1/auth/logout'],
      ['GET', '/v1/auth/sessions'],
      ['DELETE', '/v1/auth/sessions/1'],
      ['GET', '/internal/revocations'],
      ['GET', '/nothing-here'],
    ])('refuses %s %s without the gateway’s signature, before any other check', async (method, target) => {
      const counted = () =>
        probing(store.db, async (trx) => (await trx.selectFrom('login_attempts').selectAll().execute()).length);
      const before = await counted();
      const agent = request(`http://127.0.0.1:${service.port}`);
      const bare = method === 'GET' ? agent.get(target) : method === 'POST' ? agent.post(target) : agent.delete(target);
      const direct = await bare.set({ 'x-identity': 'gateway', 'x-user-id': ann.userId, 'x-tenant-id': tenant.id });
      expect([direct.status, direct.headers['content-type']]).toEqual([401, 'application/problem+json']);
      expect(direct.headers['x-identity-refused']).toEqual(expect.any(String));
      const misdirected = await gateway.call(service.port, method, target, { audience: 'users-service' });
      expect([misdirected.status, misdirected.headers['x-identity-refused']]).toEqual([401, 'audience_mismatch']);
      expect(await counted()).toBe(before);
    });

    test('serves the feed only to the gateway, and sessions only to users', async () => {
      const service: IdentityClaims = { kind: 'service', serviceId: 'complaint-service' };
      for (const identity of [asUser('s'), service, { kind: 'anonymous' } as const]) {
        const refused = await get('/internal/revocations', identity);
        expect([refused.status, refused.body.code]).toEqual([403, 'identity_not_allowed']);
      }
      expect((await get('/v1/auth/sessions', gatewayItself)).status).toBe(403);
      expect((await get('/v1/auth/sessions', { kind: 'anonymous' })).status).toBe(403);
      expect((await get('/internal/revocations?wait=31', gatewayItself)).status).toBe(422);
    });

    test.each([
      [undefined, 'items'],
      ['application/json', 'items'],
      ['*/*', 'items'],
      ['text/html', 'items'],
      ['application/vnd.countersign.revocation-groups+json, application/json', 'groups'],
    ])('serves the feed, for the Accept header %s, with %s', async (accept, form) => {
      const session = await login();
      await post('/v1/auth/logout', {}, { as: asUser(session.session_id) });
      const { headers, body } = await gateway.call(service.port, 'GET', '/internal/revocations', {
        as: gatewayItself,
        ...(accept !== undefined && { headers: { accept } }),
      });
      expect(Object.keys(body).sort()).toEqual(['complete', 'cursor', form, 'log'].sort());
      const type = form === 'items' ? 'application/json' : 'application/vnd.countersign.revocation-groups+json';
      expect(headers['content-type']).toBe(`${type}; charset=utf-8`);
      const ids = (body[form] as { sid?: string; ids?: string[] }[]).flatMap(({ sid, ids }) => ids ?? [sid]);
      expect(ids).toContain(session.session_id);
    });

    test('writes no secret to its log', async () => {
      const { access_token, refresh_token } = await login();
      await post('/v1/auth/login', { email: ann.email, password: 'wrong canary password' });
      await post('/v1/auth/refresh', { refresh_token: `${refresh_token}x` });
      const text = log.text();
      expect(text).toContain('invalid_credentials');
      const secrets = [password, 'wrong canary password', access_token, refresh_token];
      for (const secret of secrets) expect(text).not.toContain(secret);
      expect(text).not.toMatch(/sig1|countersign=:|\$2b\$/);
    });
  });
});
