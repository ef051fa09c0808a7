import type { IdentityClaims } from '@countersign/identity';
import { databases, silentLogger, type ThrowAway } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import { totpCode, totpStep } from '../src/domain/second-factor/totp.ts';
import type { RunningService } from '../src/service.ts';
import type { AuthSchema } from '../src/store/schema.ts';
import { type TestGateway, testGateway } from './support/gateway.ts';
import { makePerson, makeTenant, type Person, password, type Tenant, testPasswords } from './support/people.ts';
import { openProbed } from './support/probed-database.ts';
import { startService } from './support/service.ts';
import { base32Bytes } from './support/totp.ts';

const page = 'https://app.example.test';
const fromPage = { origin: page, 'x-requested-with': 'fetch' };
const cleared = '__Host-rt=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Strict';

describe.each(databases().slice(0, 1))('a browser on %s', (_, database) => {
  let store: ThrowAway<AuthSchema>;
  let gateway: TestGateway;
  let service: RunningService;
  let tenant: Tenant;
  let ann: Person;
  beforeAll(async () => {
    store = await openProbed(database);
    gateway = await testGateway();
    service = await startService(store.db, gateway, silentLogger(), { AUTH_BROWSER_ORIGINS: page });
    tenant = await makeTenant(store.db, 'acme');
    ann = await makePerson(store.db, await testPasswords(), [tenant]);
  });
  afterAll(async () => {
    await service.stop();
    await gateway.close();
    await store.close();
  });

  type Headers = Record<string, string>;
  const post = (target: string, body: unknown, headers: Headers = fromPage, as?: IdentityClaims) =>
    gateway.call(service.port, 'POST', target, { body, headers, ...(as && { as }) });
  const logIn = (headers?: Headers) =>
    post('/v1/auth/login', { email: ann.email, password, transport: 'cookie' }, headers);
  const cookieOf = (answer: { headers: Record<string, unknown> }): string =>
    String((answer.headers['set-cookie'] as string[] | undefined)?.[0]);
  const sent = (setCookie: string): string => setCookie.split(';')[0] ?? '';
  const refresh = (cookie: string, headers: Headers = fromPage, body: object = {}) =>
    post('/v1/auth/refresh', body, { ...headers, cookie });

  test('gets its refresh token only in a cookie that scripts cannot read', async () => {
    const answer = await logIn();
    expect(answer.status).toBe(200);
    expect(cookieOf(answer)).toMatch(
      /^__Host-rt=[\w-]{100,}; Max-Age=1209600; Path=\/; Secure; HttpOnly; SameSite=Strict$/,
    );
    expect(answer.body).not.toHaveProperty('refresh_token');
    expect(answer.text).not.toContain(sent(cookieOf(answer)).slice('__Host-rt='.length));
    expect(answer.headers['cache-control']).toBe('no-store');
  });

  test('refreshes by cookie: each refresh sets a new token, and two concurrent tabs get the same one', async () => {
    const first = cookieOf(await logIn());
    const [one, two] = await Promise.all([refresh(sent(first)), refresh(sent(first))]);
    expect([one.status, two.status]).toEqual([200, 200]);
    expect(sent(cookieOf(one))).toBe(sent(cookieOf(two)));
    expect(sent(cookieOf(one))).not.toBe(sent(first));
    expect(one.body).not.toHaveProperty('refresh_token');
    const next = await post('/v1/auth/refresh', undefined, { ...fromPage, cookie: `a=b; ${sent(cookieOf(one))}; c=d` });
    expect(next.status).toBe(200);
  });

  test.each<[string, Headers]>([
    ['no Origin', { 'x-requested-with': 'fetch' }],
    ['the Origin null of a sandboxed frame', { ...fromPage, origin: 'null' }],
    ['an evil origin', { ...fromPage, origin: 'https://evil.example' }],
    ['an origin that begins like ours', { ...fromPage, origin: `${page}.evil.example` }],
    ['an origin that ends like ours', { ...fromPage, origin: 'https://evil-app.example.test' }],
    ['our origin over http', { ...fromPage, origin: 'http://app.example.test' }],
    ['our origin on another port', { ...fromPage, origin: `${page}:8443` }],
    ['our origin in capitals', { ...fromPage, origin: page.toUpperCase() }],
    ['two origins', { ...fromPage, origin: `${page} https://evil.example` }],
    ['no X-Requested-With, which a form cannot set', { origin: page }],
    ['an empty X-Requested-With', { origin: page, 'x-requested-with': '' }],
    ['only a Referer', { referer: `${page}/`, 'x-requested-with': 'fetch' }],
  ])('a cookie with %s is refused, and the session continues', async (_name, headers) => {
    const cookie = sent(cookieOf(await logIn()));
    for (const target of ['/v1/auth/refresh', '/v1/auth/logout']) {
      const refused = await post(target, {}, { ...headers, cookie });
      expect([refused.status, refused.body.code]).toEqual([403, 'cross_site_refused']);
      expect(refused.headers).not.toHaveProperty('set-cookie');
      expect(refused.headers).not.toHaveProperty('access-control-allow-origin');
    }
    expect((await refresh(cookie)).status).toBe(200);
  });

  test.each(['null', 'https://evil.example'])(
    'a page at %s cannot log a browser in to another account',
    async (origin) => {
      const refused = await logIn({ origin });
      expect([refused.status, refused.body.code]).toEqual([403, 'cross_site_refused']);
      expect(refused.headers).not.toHaveProperty('set-cookie');
    },
  );

  test.each(['null', 'https://evil.example'])(
    'a page at %s cannot finish a login that sets a cookie',
    async (origin) => {
      const bob = await makePerson(store.db, await testPasswords(), [tenant, await makeTenant(store.db, uuidv7())]);
      const ask = (more: object) => post('/v1/auth/login', { email: bob.email, password, ...more });
      const choose = async (headers: Headers, transport = 'cookie') => {
        const { selection_token } = (await ask({ transport })).body;
        return post('/v1/auth/login/tenant', { selection_token, tenant_id: tenant.id }, headers);
      };
      const { session_id: sid } = (await choose(fromPage)).body;
      const as: IdentityClaims = {
        kind: 'user',
        userId: bob.userId,
        role: 'agent',
        tenantId: tenant.id,
        context: { sid, authTime: Math.floor(Date.now() / 1000), amr: ['pwd'] },
      };
      const foreign = await choose({ origin });
      const { secret } = (await post('/v1/auth/mfa/totp', undefined, fromPage, as)).body;
      const code = totpCode(base32Bytes(secret), totpStep(new Date()));
      const [recovery, another] = (await post('/v1/auth/mfa/totp/confirm', { code }, fromPage, as)).body.recovery_codes;
      const show = async (headers: Headers, given: string) => {
        const { mfa_token } = (await ask({ transport: 'cookie', tenant: tenant.slug })).body;
        return post('/v1/auth/login/mfa', { mfa_token, code: given }, headers);
      };
      for (const refused of [foreign, await show({ origin }, recovery)]) {
        expect([refused.status, refused.body.code]).toEqual([403, 'cross_site_refused']);
        expect(refused.headers).not.toHaveProperty('set-cookie');
      }
      expect(cookieOf(await show(fromPage, another))).toContain('__Host-rt=');
      // Without a cookie the browser stores nothing.
      expect((await choose({ origin }, 'body')).body.code).toBe('mfa_required');
    },
  );

  test.each([
    '\xa0__Host-rt',
    '__Host-rt\xa0',
    '\xc2\xa0__Host-rt',
    '\x85__Host-rt',
    '\xef\xbb\xbf__Host-rt',
    '__Host-rt ',
    '"__Host-rt"',
    '=__Host-rt',
    '__host-rt',
    'x__Host-rt',
  ])('a cookie %j, which another site can set, neither replaces the refresh token nor blocks it', async (name) => {
    const [planted, own] = [sent(cookieOf(await logIn())), sent(cookieOf(await logIn()))];
    const evil = planted.replace('__Host-rt', name);
    expect((await refresh(`a=1; ${evil}`)).status).toBe(401);
    const answer = await refresh(`a=1; ${evil}; ${own}`);
    expect(answer.status).toBe(200);
    // The planted session is still as it was.
    expect((await refresh(planted)).status).toBe(200);
  });

  test.each([
    ['in quotes', (value: string) => `"${value}"`],
    ['after U+00A0', (value: string) => `\xa0${value}`],
    ['after a space', (value: string) => ` ${value}`],
    ['empty', () => ''],
  ])('a value %s is not the refresh token', async (_name, change) => {
    const cookie = sent(cookieOf(await logIn()));
    const value = cookie.slice('__Host-rt='.length);
    expect((await refresh(`__Host-rt=${change(value)}`)).status).toBe(401);
    expect((await refresh(cookie)).status).toBe(200);
  });

  test.each([
    ['another value', (own: string) => `__Host-rt=planted; ${own}`],
    ['another value after it', (own: string) => `${own}; __Host-rt=planted`],
    ['no value', (own: string) => `__Host-rt=; ${own}`],
    ['the same value', (own: string) => `${own}; ${own}`],
  ])('the cookie twice, with %s, is refused, and the session continues', async (_name, twice) => {
    const own = sent(cookieOf(await logIn()));
    const answer = await refresh(twice(own));
    expect([answer.status, answer.body.code]).toEqual([400, 'two_refresh_tokens']);
    expect(answer.headers).not.toHaveProperty('set-cookie');
    expect((await refresh(own)).status).toBe(200);
  });

  test('a browser that sends two tokens is refused, and neither is used', async () => {
    const cookie = sent(cookieOf(await logIn()));
    const { refresh_token } = (await post('/v1/auth/login', { email: ann.email, password })).body;
    for (const target of ['/v1/auth/refresh', '/v1/auth/logout']) {
      const both = await post(target, { refresh_token }, { ...fromPage, cookie });
      expect([both.status, both.body.code]).toEqual([400, 'two_refresh_tokens']);
      const twice = await post(target, {}, { ...fromPage, cookie: `${cookie}; __Host-rt=x` });
      expect([twice.status, twice.body.code]).toEqual([400, 'two_refresh_tokens']);
    }
    expect((await refresh(cookie)).status).toBe(200);
    expect((await post('/v1/auth/refresh', { refresh_token })).status).toBe(200);
    const none = await post('/v1/auth/refresh', {});
    expect([none.status, none.body.code]).toEqual([401, 'invalid_refresh_token']);
  });

  test('loses its cookie at logout, and a second logout also succeeds', async () => {
    const cookie = sent(cookieOf(await logIn()));
    for (let round = 0; round < 2; round += 1) {
      const out = await post('/v1/auth/logout', {}, { ...fromPage, cookie });
      expect([out.status, cookieOf(out)]).toEqual([204, cleared]);
    }
    const dead = await refresh(cookie);
    expect([dead.status, dead.body.code, cookieOf(dead)]).toEqual([401, 'session_revoked', cleared]);
  });

  test('loses its cookie at a logout by access token, unless only other sessions end', async () => {
    const answer = await logIn();
    const cookie = sent(cookieOf(answer));
    const { user, session_id: sid } = answer.body;
    const as: IdentityClaims = { kind: 'user', userId: user.id, role: 'agent', tenantId: tenant.id, context: { sid } };
    const others = await post('/v1/auth/logout', { scope: 'others' }, { ...fromPage, cookie }, as);
    expect([others.status, others.headers['set-cookie']]).toEqual([204, undefined]);
    const out = await post('/v1/auth/logout', {}, { ...fromPage, cookie }, as);
    expect([out.status, cookieOf(out)]).toEqual([204, cleared]);
  });

  test('loses the cookie of a reused token’s family', async () => {
    const first = sent(cookieOf(await logIn()));
    const second = sent(cookieOf(await refresh(first)));
    await refresh(second);
    const thief = await refresh(first);
    expect([thief.status, thief.body.code, cookieOf(thief)]).toEqual([401, 'refresh_token_reused', cleared]);
    const victim = await refresh(second);
    expect([victim.body.code, cookieOf(victim)]).toEqual(['session_revoked', cleared]);
  });

  test('gets a token in the body when it sends a token in the body', async () => {
    const { refresh_token } = (await post('/v1/auth/login', { email: ann.email, password }, {})).body;
    const answer = await post('/v1/auth/refresh', { refresh_token }, {});
    expect(answer.body.refresh_token).toEqual(expect.any(String));
    expect(answer.headers).not.toHaveProperty('set-cookie');
  });
});
