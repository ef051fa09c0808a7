import { databases, redisServers } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { assertionType } from '../src/domain/clients/client-authentication.ts';
import {
  type AuthenticatedOAuthClient,
  authenticateOAuthClient,
  issueClientToken,
} from '../src/flows/clients/issue-token.ts';
import { createThrottle } from '../src/flows/sessions/throttle.ts';
import { databaseAttempts } from '../src/store/sessions/attempts.ts';
import { type Account, type AccountsWorld, accountsWorld, freshAddress } from './support/accounts-world.ts';
import {
  askForToken,
  basic,
  claimsOf,
  clientKey,
  type Form,
  type MadeOAuthClient,
  makeOAuthClient,
  scopes,
  withAssertion,
  withSecret,
} from './support/clients.ts';
import { caller, codeOf } from './support/flows.ts';
import { probing } from './support/probed-database.ts';
import { issuer } from './support/service.ts';

const grant = { grant_type: 'client_credentials' };

describe.each(databases())('the token endpoint on %s', (_, database) => {
  describe.each(redisServers())('with attempts in %s', (__, { url }) => {
    let world: AccountsWorld;
    let admin: Account;
    let oauthClient: MadeOAuthClient;
    beforeAll(async () => {
      world = await accountsWorld(database, { AUTH_SCOPES: scopes, REDIS_URL: url });
      admin = await world.account('admin');
      oauthClient = await makeOAuthClient(world, admin);
    });
    afterAll(() => world.close());

    const ask = (form: Form, options?: Parameters<typeof askForToken>[2]) => askForToken(world, form, options);
    const tenantPath = () => `/v1/auth/tenants/${admin.tenant.id}/clients`;
    const expectRefused = async (answer: ReturnType<typeof ask>, status: number, error: string) => {
      const { status: got, body, type, headers } = await answer;
      expect([got, body.error, type]).toEqual([status, error, 'application/json']);
      expect(headers['cache-control']).toBe('no-store');
      // RFC 6749 section 5.2.
      expect(body.error_description).toMatch(/^[\x20\x21\x23-\x5b\x5d-\x7e]+$/);
      return body.error_description as string;
    };

    test('issues an RFC 9068 token to a client that authenticates with Basic', async () => {
      const answer = await ask(grant, { headers: basic(oauthClient.id, oauthClient.secret) });
      expect([answer.status, answer.headers['cache-control']]).toEqual([200, 'no-store']);
      expect(answer.body).toEqual({
        access_token: expect.any(String),
        token_type: 'Bearer',
        expires_in: 900,
        scope: 'complaints.read users.read',
      });
      const keySet = createRemoteJWKSet(new URL(`http://127.0.0.1:${world.service.port}/.well-known/jwks.json`));
      const verify = { issuer, audience: 'complaints-api', typ: 'at+jwt' };
      const { payload } = await jwtVerify(answer.body.access_token, keySet, verify);
      expect(payload).toEqual({
        iss: issuer,
        aud: 'complaints-api',
        sub: oauthClient.id,
        client_id: oauthClient.id,
        tenant_id: admin.tenant.id,
        scope: 'complaints.read users.read',
        jti: expect.any(String),
        iat: expect.any(Number),
        exp: (payload.iat ?? 0) + 900,
      });
    });

    test('issues a token to a client that authenticates in the body', async () => {
      const { status, body } = await ask(withSecret(oauthClient));
      expect([status, body.token_type]).toEqual([200, 'Bearer']);
    });

    test('binds the token to the key whose proof the gateway verified', async () => {
      const jkt = 'A'.repeat(43);
      const answer = await ask(withSecret(oauthClient), { as: { kind: 'anonymous', context: { jkt } } });
      expect([answer.body.token_type, claimsOf(answer).cnf]).toEqual(['DPoP', { jkt }]);
    });

    test.each([
      ['one of its scopes', 'users.read', 'users.read'],
      ['its scopes in another order', 'users.read complaints.read', 'users.read complaints.read'],
      ['a scope that is requested twice', 'users.read users.read', 'users.read'],
      ['all its scopes for an empty parameter, which counts as absent', '', 'complaints.read users.read'],
    ])('grants %s', async (_name, scope, granted) => {
      const answer = await ask({ ...withSecret(oauthClient), scope });
      expect([answer.status, answer.body.scope, claimsOf(answer).scope]).toEqual([200, granted, granted]);
    });

    test.each([
      ['more than the client is allowed', 'users.read complaints.write'],
      ['an unknown name', 'everything'],
      ['another case', 'Users.Read'],
      ['an extra space', 'users.read  complaints.read'],
      ['another separator', 'users.read,complaints.read'],
      ['a tab', 'users.read\tcomplaints.read'],
    ])('refuses a scope with %s', async (_name, scope) => {
      await expectRefused(ask({ ...withSecret(oauthClient), scope }), 400, 'invalid_scope');
    });

    test('issues no scope that the installation no longer defines', async () => {
      const made = await makeOAuthClient(world, admin);
      await probing(world.store.db, (trx) =>
        trx
          .updateTable('clients')
          .set({ scopes: ['users.read', 'gone'] })
          .where('id', '=', made.id)
          .execute(),
      );
      expect((await ask(withSecret(made))).body.scope).toBe('users.read');
      await expectRefused(ask({ ...withSecret(made), scope: 'gone' }), 400, 'invalid_scope');
    });

    test('issues a token without scopes to a client that has none', async () => {
      const answer = await ask(withSecret(await makeOAuthClient(world, admin, { scopes: [] })));
      expect(answer.body).not.toHaveProperty('scope');
      expect(claimsOf(answer)).not.toHaveProperty('scope');
    });

    describe('refused requests', () => {
      const unknownId = 'client-01936f00-0000-7000-8000-000000000000';
      test.each<[string, (made: MadeOAuthClient) => Parameters<typeof askForToken>[2] & { form?: Form }]>([
        ['a wrong secret', ({ id }) => ({ headers: basic(id, 'wrong') })],
        ['an empty secret', ({ id }) => ({ headers: basic(id, '') })],
        ['an unknown client', ({ secret }) => ({ headers: basic(unknownId, secret) })],
        ['a client id that the database cannot store', ({ secret }) => ({ headers: basic('client-\0', secret) })],
        ['another scheme', () => ({ headers: { authorization: 'Bearer abc' } })],
        ['Basic that is not Base64', () => ({ headers: { authorization: 'Basic {}' } })],
        ['Basic without a colon', () => ({ headers: { authorization: `Basic ${btoa('abc')}` } })],
        ['Basic with a broken escape', ({ id }) => ({ headers: { authorization: `Basic ${btoa(`${id}:%zz`)}` } })],
        ['missing credentials', ({ id }) => ({ form: { ...grant, client_id: id } })],
      ])('refuses %s with 401 and a challenge', async (_name, of) => {
        const { form = grant, ...options } = of(oauthClient);
        await expectRefused(ask(form, options), 401, 'invalid_client');
        expect((await ask(form, options)).headers['www-authenticate']).toBe('Basic realm="token endpoint"');
      });

      test('refuses a wrong secret in the body without a challenge, because some libraries then ignore the body', async () => {
        const answer = ask({ ...withSecret(oauthClient), client_secret: 'wrong' });
        await expectRefused(answer, 401, 'invalid_client');
        expect((await answer).headers).not.toHaveProperty('www-authenticate');
      });

      test('refuses a user’s credentials as client credentials', async () => {
        await expectRefused(ask({ ...withSecret(oauthClient), client_id: admin.userId }), 401, 'invalid_client');
      });

      test.each<
        [string, (made: MadeOAuthClient) => Readonly<{ form: Form; headers?: Record<string, string>; query?: string }>]
      >([
        ['two authentication methods', (made) => ({ form: withSecret(made), headers: basic(made.id, made.secret) })],
        [
          'a secret and an assertion',
          (made) => ({
            form: { ...withSecret(made), client_assertion: 'a.b.c', client_assertion_type: assertionType },
          }),
        ],
        [
          'Basic and an assertion type',
          (made) => ({
            form: { ...grant, client_assertion_type: assertionType },
            headers: basic(made.id, made.secret),
          }),
        ],
        [
          'an assertion of an unknown type',
          () => ({
            form: { ...grant, client_assertion: 'a.b.c', client_assertion_type: 'urn:saml' },
          }),
        ],
        [
          'an assertion type without an assertion',
          () => ({ form: { ...grant, client_assertion_type: assertionType } }),
        ],
        [
          'a different client_id than in Basic',
          (made) => ({
            form: { ...grant, client_id: unknownId },
            headers: basic(made.id, made.secret),
          }),
        ],
        ['a secret without a client', (made) => ({ form: { ...grant, client_secret: made.secret } })],
        [
          'a secret in the URL',
          (made) => ({
            form: { ...grant, client_id: made.id },
            query: `?client_secret=${made.secret}`,
          }),
        ],
        ['any parameter in the URL', (made) => ({ form: withSecret(made), query: '?x=1' })],
        [
          'a repeated parameter',
          (made) => ({ form: `${new URLSearchParams(withSecret(made))}&scope=users.read&scope=` }),
        ],
        ['a repeated secret', (made) => ({ form: `${new URLSearchParams(withSecret(made))}&client_secret=b` })],
        ['a missing grant type', (made) => ({ form: { client_id: made.id, client_secret: made.secret } })],
        [
          'a form with bytes that are not UTF-8',
          (made) => ({ form: `${new URLSearchParams(withSecret(made))}&scope=%ff` }),
        ],
        ['an empty body', () => ({ form: '' })],
      ])('refuses %s with 400 invalid_request', async (_name, of) => {
        const { form, ...options } = of(oauthClient);
        await expectRefused(ask(form, options), 400, 'invalid_request');
      });

      test.each(['password', 'authorization_code', 'refresh_token', 'CLIENT_CREDENTIALS'])(
        'refuses the grant type %s',
        async (grant_type) => {
          await expectRefused(ask({ ...withSecret(oauthClient), grant_type }), 400, 'unsupported_grant_type');
        },
      );

      test('refuses a client that is not allowed to use this grant type', async () => {
        const agent = await makeOAuthClient(world, admin, {
          grant_types: ['urn:ietf:params:oauth:grant-type:token-exchange'],
        });
        await expectRefused(ask(withSecret(agent)), 400, 'unauthorized_client');
      });

      test.each([
        ['JSON', 'application/json', JSON.stringify(grant)],
        ['text', 'text/plain', 'grant_type=client_credentials'],
        ['a multipart form', 'multipart/form-data; boundary=x', '--x--'],
      ])('refuses %s instead of a form', async (_name, contentType, form) => {
        await expectRefused(
          ask(form, { contentType, headers: basic(oauthClient.id, oauthClient.secret) }),
          415,
          'invalid_request',
        );
      });

      test('refuses a huge body, and a body with a million parameters, without reading them', async () => {
        const huge = `${new URLSearchParams(withSecret(oauthClient))}&x=${'y'.repeat(20_000)}`;
        await expectRefused(ask(huge), 413, 'invalid_request');
        await expectRefused(
          ask(`${new URLSearchParams(withSecret(oauthClient))}${'&a'.repeat(5_000)}`),
          400,
          'invalid_request',
        );
      });

      test.each([
        ['audience', 'other-api'],
        ['resource', 'https://elsewhere.example/mcp'],
        ['resource', 'no URL'],
      ])('refuses the %s %s', async (name, value) => {
        await expectRefused(ask({ ...withSecret(oauthClient), [name]: value }), 400, 'invalid_target');
      });

      test('refuses every client of a disabled tenant', async () => {
        const set = (status: 'active' | 'disabled') =>
          probing(world.store.db, (trx) =>
            trx.updateTable('tenants').set({ status }).where('id', '=', admin.tenant.id).execute(),
          );
        await set('disabled');
        await expectRefused(ask(withSecret(oauthClient)), 401, 'invalid_client');
        await set('active');
      });
    });

    test('accepts its own audience and resources', async () => {
      const form = new URLSearchParams({ ...withSecret(oauthClient), audience: 'complaints-api' });
      form.append('resource', `${issuer}/mcp`);
      form.append('resource', issuer);
      expect((await ask(form.toString())).status).toBe(200);
    });

    describe('with private_key_jwt', () => {
      let keyed: string;
      let key: Awaited<ReturnType<typeof clientKey>>;
      beforeAll(async () => {
        key = await clientKey('ES256');
        keyed = (await makeOAuthClient(world, admin, { jwks: { keys: [key.jwk] } })).id;
      });

      test.each(['ES256', 'ES384', 'EdDSA', 'Ed25519', 'RS256', 'PS256'])(
        'issues a token for an assertion signed with %s',
        async (alg) => {
          const own = await clientKey(alg);
          const { id } = await makeOAuthClient(world, admin, { jwks: { keys: [key.jwk, own.jwk] } });
          const answer = await ask(withAssertion(await own.assertion(id)));
          expect([answer.status, claimsOf(answer).sub]).toEqual([200, id]);
        },
      );

      type Part = Record<string, unknown>;
      test.each<[string, Part, Part]>([
        ['the token endpoint as audience', { aud: `${issuer}/v1/auth/token` }, {}],
        ['both names of this server as audience', { aud: [issuer, `${issuer}/v1/auth/token`] }, {}],
        ['an explicit type', {}, { typ: 'client-authentication+jwt' }],
        ['an assertion without iat', { iat: undefined }, {}],
      ])('accepts %s', async (_name, claims, header) => {
        expect((await ask(withAssertion(await key.assertion(keyed, claims, header)))).status).toBe(200);
      });

      const inSec = (seconds: number) => Math.floor(Date.now() / 1000) + seconds;
      test.each<[string, () => Part, Part]>([
        ['another audience', () => ({ aud: 'https://other.example' }), {}],
        ['another audience in addition to ours', () => ({ aud: [issuer, 'https://other.example'] }), {}],
        ['no audience', () => ({ aud: undefined }), {}],
        ['an empty list of audiences', () => ({ aud: [] }), {}],
        ['an audience that only begins like ours', () => ({ aud: `${issuer}.evil.example` }), {}],
        ['another issuer', () => ({ iss: 'client-01936f00-0000-7000-8000-000000000000' }), {}],
        ['no issuer', () => ({ iss: undefined }), {}],
        ['no exp', () => ({ exp: undefined }), {}],
        ['an exp in the past', () => ({ exp: inSec(-60) }), {}],
        ['an exp an hour in the future', () => ({ exp: inSec(3600) }), {}],
        ['an iat in the future', () => ({ iat: inSec(60) }), {}],
        ['an nbf in the future', () => ({ nbf: inSec(60) }), {}],
        ['no jti', () => ({ jti: undefined }), {}],
        ['an empty jti', () => ({ jti: '' }), {}],
        ['a jti that is a number', () => ({ jti: 7 }), {}],
        ['a huge jti', () => ({ jti: 'x'.repeat(257) }), {}],
        ['another typ', () => ({}), { typ: 'at+jwt' }],
        ['an unknown kid', () => ({}), { kid: 'other' }],
        ['a critical header', () => ({}), { crit: ['x'], x: 1 }],
      ])('refuses an assertion with %s', async (_name, claims, header) => {
        await expectRefused(ask(withAssertion(await key.assertion(keyed, claims(), header))), 401, 'invalid_client');
      });

      test.each([[{ toString: 1 }], [{}], [[]], [5]])('refuses an unsigned assertion with the sub %j', async (sub) => {
        const [header, payload] = [{ alg: 'ES256', kid: 'x' }, { sub }].map((part) =>
          Buffer.from(JSON.stringify(part)).toString('base64url'),
        );
        await expectRefused(ask(withAssertion(`${header}.${payload}.${'A'.repeat(86)}`)), 401, 'invalid_client');
      });

      test('refuses a used assertion, and another assertion with the same jti', async () => {
        const assertion = await key.assertion(keyed, { jti: 'once' });
        expect((await ask(withAssertion(assertion))).status).toBe(200);
        expect(await expectRefused(ask(withAssertion(assertion)), 401, 'invalid_client')).toMatch(/already used/);
        await expectRefused(ask(withAssertion(await key.assertion(keyed, { jti: 'once' }))), 401, 'invalid_client');
        const other = await clientKey('ES256');
        const { id } = await makeOAuthClient(world, admin, { jwks: { keys: [other.jwk] } });
        expect((await ask(withAssertion(await other.assertion(id, { jti: 'once' })))).status).toBe(200);
      });

      test('accepts exactly one of twenty concurrent copies of an assertion', async () => {
        const assertion = await key.assertion(keyed);
        const answers = await Promise.all(Array.from({ length: 20 }, () => ask(withAssertion(assertion))));
        expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
      });

      test.each(['RS256', 'PS256'])(
        'refuses an assertion signed with %s without its leading zero byte',
        async (alg) => {
          const own = await clientKey(alg);
          const { id } = await makeOAuthClient(world, admin, { jwks: { keys: [own.jwk] } });
          let assertion: string;
          do assertion = await own.assertion(id);
          while (!/\.A[A-P][^.]*$/.test(assertion));
          const [header, payload, signature = ''] = assertion.split('.');
          const shorter = Buffer.from(signature, 'base64url').subarray(1).toString('base64url');
          await expectRefused(ask(withAssertion(`${header}.${payload}.${shorter}`)), 401, 'invalid_client');
          await expectRefused(ask(withAssertion(`${assertion}=`)), 401, 'invalid_client');
          expect((await ask(withAssertion(assertion))).status).toBe(200);
        },
      );

      test('uses up an assertion even when the request is refused', async () => {
        const assertion = withAssertion(await key.assertion(keyed));
        await expectRefused(ask({ ...assertion, scope: 'everything' }), 400, 'invalid_scope');
        await expectRefused(ask(assertion), 401, 'invalid_client');
      });

      test('refuses another client’s key, a replaced key and an unsigned assertion', async () => {
        const foreign = await clientKey('ES256', key.jwk.kid);
        await expectRefused(ask(withAssertion(await foreign.assertion(keyed))), 401, 'invalid_client');
        const { id } = await makeOAuthClient(world, admin, { jwks: { keys: [foreign.jwk] } });
        await world.call('PATCH', `${tenantPath()}/${id}`, {
          as: world.as(admin),
          body: { jwks: { keys: [key.jwk] } },
        });
        await expectRefused(ask(withAssertion(await foreign.assertion(id))), 401, 'invalid_client');
        const [, payload] = (await key.assertion(keyed)).split('.');
        const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`;
        await expectRefused(ask(withAssertion(none)), 401, 'invalid_client');
        await expectRefused(ask(withAssertion('no.jwt')), 401, 'invalid_client');
      });

      test('issues no token if the key was replaced after it was checked, even by a key with the same kid', async () => {
        const { db } = world.store;
        const parts = { db, throttle: createThrottle(databaseAttempts(db)), issuer: { issuer } };
        const { id } = await makeOAuthClient(world, admin, { jwks: { keys: [key.jwk] } });
        const authenticate = async ({ assertion }: typeof key) =>
          authenticateOAuthClient(
            parts,
            { method: 'private_key_jwt', clientId: id, assertion: await assertion(id) },
            freshAddress(),
          );
        const issue = (authenticated: AuthenticatedOAuthClient) =>
          issueClientToken({ db, scopes: scopes.split(' ') }, authenticated, { asked: undefined, caller });
        const stolen = await authenticate(key);
        expect(await codeOf(issue(stolen))).toBe('ok');
        const next = await clientKey('ES256', key.jwk.kid);
        const body = { jwks: { keys: [next.jwk] }, revoke_tokens: true };
        expect((await world.call('PATCH', `${tenantPath()}/${id}`, { as: world.as(admin), body })).status).toBe(200);
        expect(await codeOf(issue(stolen))).toBe('invalid_client');
        expect(await codeOf(issue(await authenticate(next)))).toBe('ok');
        const used = await authenticate(next);
        await world.call('POST', `${tenantPath()}/${id}/secrets`, { as: world.as(admin), body: {} });
        expect(await codeOf(issue(used))).toBe('invalid_client');
      });

      test('refuses a client_id parameter that names another client', async () => {
        const form = { ...withAssertion(await key.assertion(keyed)), client_id: oauthClient.id };
        await expectRefused(ask(form), 400, 'invalid_request');
      });
    });

    test('limits guesses by client and network, and locks out no other client, network or person', async () => {
      const ip = freshAddress();
      const guess = () => ask({ ...withSecret(oauthClient), client_secret: 'wrong' }, { ip });
      const answers = await Promise.all(Array.from({ length: 80 }, guess));
      const refused = answers.filter(({ status }) => status === 429);
      expect(refused).toHaveLength(20);
      expect(Number(refused[0]?.headers['retry-after'])).toBeGreaterThan(0);
      await expectRefused(guess(), 429, 'temporarily_unavailable');
      expect((await ask(withSecret(oauthClient), { ip })).status).toBe(429);
      expect((await ask(withSecret(oauthClient))).status).toBe(200);
      expect((await ask(withSecret(await makeOAuthClient(world, admin)), { ip })).status).toBe(200);
      const { status } = await world.call('POST', '/v1/auth/login', {
        body: { email: admin.email, password: 'correct horse battery staple' },
        ip,
      });
      expect(status).toBe(200);
    });

    test('never throttles a client that constantly requests tokens', async () => {
      const ip = freshAddress();
      for (let round = 0; round < 2; round += 1) {
        const answers = await Promise.all(Array.from({ length: 40 }, () => ask(withSecret(oauthClient), { ip })));
        expect(answers.every(({ status }) => status === 200)).toBe(true);
      }
    });
  });

  test('publishes its metadata for OAuth clients', async () => {
    const world = await accountsWorld(database, { AUTH_SCOPES: scopes });
    const { body, headers } = await world.call('GET', '/.well-known/oauth-authorization-server');
    expect(headers['cache-control']).toBe('public, max-age=300');
    expect(body).toMatchObject({
      issuer,
      token_endpoint: `${issuer}/v1/auth/token`,
      jwks_uri: `${issuer}/.well-known/jwks.json`,
      scopes_supported: scopes.split(' '),
      response_types_supported: [],
      authorization_endpoint: `${issuer}/v1/auth/authorize`,
    });
    const authorization = await world.call('GET', '/v1/auth/authorize?response_type=code&redirect_uri=https://a.test');
    expect([authorization.status, authorization.body.error]).toEqual([400, 'unsupported_response_type']);
    expect(authorization.headers).not.toHaveProperty('location');
    await world.close();
  });
});
