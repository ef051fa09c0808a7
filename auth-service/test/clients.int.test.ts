import { databases } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { exportJWK } from 'jose';
import { type Account, type AccountsWorld, accountsWorld } from './support/accounts-world.ts';
import {
  askForToken,
  basic,
  clientKey,
  type MadeOAuthClient,
  makeOAuthClient,
  scopes,
  withSecret,
} from './support/clients.ts';
import { gatewayItself } from './support/gateway.ts';
import { makeTenant } from './support/people.ts';
import { probing } from './support/probed-database.ts';

describe.each(databases())('the clients of a tenant on %s', (_, database) => {
  let world: AccountsWorld;
  let admin: Account;
  let foreigner: Account;
  beforeAll(async () => {
    world = await accountsWorld(database, { AUTH_SCOPES: scopes });
    admin = await world.account('admin');
    foreigner = await world.account('admin', [await makeTenant(world.store.db, 'globex')]);
  });
  afterAll(() => world.close());

  const pathOf = ({ id }: MadeOAuthClient, tail = '') => `/v1/auth/tenants/${admin.tenant.id}/clients/${id}${tail}`;
  const call = (method: 'GET' | 'PATCH' | 'POST' | 'DELETE', path: string, body?: object, as = admin) =>
    world.call(method, path, { as: world.as(as), ...(body && { body }) });
  const canGetToken = async (oauthClient: MadeOAuthClient) => {
    const { status, body } = await askForToken(world, withSecret(oauthClient));
    return status === 200 ? true : body.error;
  };
  const revocations = async () => {
    const { body } = await world.call('GET', '/internal/revocations', { as: gatewayItself });
    return body.items as Record<string, string>[];
  };
  const endedTokensOf = async ({ id }: MadeOAuthClient) =>
    (await revocations()).filter(({ kind, client_id }) => kind === 'client' && client_id === id).length;
  const audited = async ({ id }: MadeOAuthClient) => {
    const { body } = await call('GET', '/v1/auth/audit?limit=100');
    const entries = body.items as { action: string; user_id: string; detail: Record<string, unknown> }[];
    return entries.filter(({ detail }) => detail.client_id === id);
  };

  test('creates a client with a secret that is shown once and stored as a hash', async () => {
    const { status, body, headers } = await world.post(
      `/v1/auth/tenants/${admin.tenant.id}/clients`,
      { name: ' Nightly export ', scopes: ['users.read', 'users.read'] },
      admin,
    );
    expect(status).toBe(201);
    expect(headers['cache-control']).toBe('no-store');
    expect(headers.location).toBe(`/v1/auth/tenants/${admin.tenant.id}/clients/${body.client_id}`);
    expect(body).toEqual({
      client_id: expect.stringMatching(/^client-[0-9a-f-]{36}$/),
      client_secret: expect.stringMatching(/^countersign_secret_[A-Za-z0-9_-]{43}$/),
      name: 'Nightly export',
      scopes: ['users.read'],
      grant_types: ['client_credentials'],
      status: 'active',
      jwks: null,
      secrets: [{ id: expect.any(String), created_at: expect.any(String), expires_at: null, last_used_at: null }],
      created_by: admin.userId,
      created_at: expect.any(String),
      last_used_at: null,
    });
    const { client_secret: secret, ...rest } = body;
    expect((await call('GET', headers.location ?? '')).body).toEqual(rest);
    const rows = await probing(world.store.db, (trx) => trx.selectFrom('client_secrets').selectAll().execute());
    expect(JSON.stringify(rows)).not.toContain(secret);
    expect(JSON.stringify(world.log.lines())).not.toContain(secret);
  });

  test('lists clients newest first, in pages', async () => {
    const made: MadeOAuthClient[] = [];
    for (let at = 0; at < 3; at += 1) made.push(await makeOAuthClient(world, admin));
    const first = await call('GET', `/v1/auth/tenants/${admin.tenant.id}/clients?limit=2`);
    const second = await call(
      'GET',
      `/v1/auth/tenants/${admin.tenant.id}/clients?limit=2&cursor=${first.body.next_cursor}`,
    );
    const ids = [...first.body.items, ...second.body.items].map(({ client_id }) => client_id);
    expect(ids.slice(0, 3)).toEqual(made.map(({ id }) => id).reverse());
    expect(JSON.stringify(first.body)).not.toContain('client_secret');
  });

  test.each([
    ['an unknown scope', { scopes: ['everything'] }],
    ['a scope in another case', { scopes: ['Users.Read'] }],
    ['two scopes in one string', { scopes: ['users.read complaints.read'] }],
    ['a name with two lines', { name: 'a\nb' }],
    ['an unsupported grant type', { grant_types: ['password'] }],
    ['a symmetric key', { jwks: { keys: [{ kty: 'oct', k: 'AAAA', kid: 'k' }] } }],
    ['an empty key set', { jwks: { keys: [] } }],
  ])('refuses %s', async (_name, more) => {
    const body = { name: 'x', scopes: [], ...more };
    const answer = await world.post(`/v1/auth/tenants/${admin.tenant.id}/clients`, body, admin);
    expect([answer.status, answer.body.code]).toEqual([422, 'validation_failed']);
  });

  test('refuses a private key, a short RSA key, and two keys with the same kid', async () => {
    const key = await clientKey('ES256');
    const { d } = await exportJWK(key.privateKey);
    const small = { kty: 'RSA', kid: 's', alg: 'RS256', n: Buffer.alloc(128, 255).toString('base64url'), e: 'AQAB' };
    for (const keys of [[{ ...key.jwk, d }], [small], [key.jwk, key.jwk], [{ ...key.jwk, x: 'AAAA' }]]) {
      const body = { name: 'x', scopes: [], jwks: { keys } };
      const answer = await world.post(`/v1/auth/tenants/${admin.tenant.id}/clients`, body, admin);
      expect([answer.status, answer.body.code]).toEqual([422, 'validation_failed']);
    }
  });

  test('only administrators of this tenant can manage its clients', async () => {
    const oauthClient = await makeOAuthClient(world, admin);
    const agent = await world.account('agent');
    const demoted = await world.account('admin');
    await call('PATCH', `/v1/auth/tenants/${admin.tenant.id}/members/${demoted.userId}`, { role: 'agent' });
    const calls = [
      ['GET', pathOf(oauthClient)],
      ['PATCH', pathOf(oauthClient), { status: 'disabled' }],
      ['POST', pathOf(oauthClient, '/secrets'), {}],
      ['DELETE', pathOf(oauthClient)],
      ['POST', pathOf({ id: '', secret: '' }).slice(0, -1), { name: 'x', scopes: [] }],
    ] as const;
    for (const [method, path, body] of calls) {
      expect((await call(method, path, body, agent)).body.code).toBe('insufficient_role');
      expect((await call(method, path, body, foreigner)).body.code).toBe('tenant_mismatch');
      // Their token still says that they are an administrator.
      if (method !== 'GET') expect((await call(method, path, body, demoted)).body.code).toBe('insufficient_role');
    }
    const elsewhere = pathOf(oauthClient).replace(admin.tenant.id, foreigner.tenant.id);
    expect((await call('GET', elsewhere, undefined, foreigner)).status).toBe(404);
    expect((await call('DELETE', elsewhere, undefined, foreigner)).status).toBe(404);
    expect((await call('GET', pathOf({ id: 'first-party', secret: '' }))).status).toBe(404);
    expect(await canGetToken(oauthClient)).toBe(true);
  });

  test('disabling a client revokes its tokens in the same transaction, and enabling it issues tokens again', async () => {
    const oauthClient = await makeOAuthClient(world, admin);
    const disabled = await call('PATCH', pathOf(oauthClient), { status: 'disabled' });
    expect([disabled.status, disabled.body.status]).toEqual([200, 'disabled']);
    expect((await revocations()).at(-1)).toEqual({
      kind: 'client',
      client_id: oauthClient.id,
      tenant_id: admin.tenant.id,
      not_before: expect.stringMatching(/:\d\d\.000Z$/),
      expires_at: expect.stringMatching(/Z$/),
    });
    expect(await canGetToken(oauthClient)).toBe('invalid_client');
    await call('PATCH', pathOf(oauthClient), { status: 'active' });
    const { body } = await askForToken(world, withSecret(oauthClient));
    const { iat } = JSON.parse(Buffer.from(body.access_token.split('.')[1], 'base64url').toString());
    // The new token is not older than the revocation, no matter in which part of the second it was issued.
    expect(iat * 1000).toBeGreaterThanOrEqual(Date.parse((await revocations()).at(-1)?.not_before ?? ''));
    expect(await endedTokensOf(oauthClient)).toBe(1);
  });

  test('disabling a client twice in one second revokes the token issued in between', async () => {
    const oauthClient = await makeOAuthClient(world, admin);
    await call('PATCH', pathOf(oauthClient), { status: 'disabled' });
    await call('PATCH', pathOf(oauthClient), { status: 'active' });
    const { body } = await askForToken(world, withSecret(oauthClient));
    const { iat } = JSON.parse(Buffer.from(body.access_token.split('.')[1], 'base64url').toString());
    await call('PATCH', pathOf(oauthClient), { status: 'disabled' });
    const last = (await revocations()).at(-1);
    expect(last?.client_id).toBe(oauthClient.id);
    expect(iat * 1000).toBeLessThan(Date.parse(last?.not_before ?? ''));
  });

  test('removing a scope revokes the tokens, and adding one does not', async () => {
    const oauthClient = await makeOAuthClient(world, admin, { scopes: ['users.read'] });
    await call('PATCH', pathOf(oauthClient), { scopes: ['users.read', 'complaints.read'], name: 'Other' });
    expect(await endedTokensOf(oauthClient)).toBe(0);
    await call('PATCH', pathOf(oauthClient), { scopes: ['complaints.read'] });
    expect(await endedTokensOf(oauthClient)).toBe(1);
    await call('PATCH', pathOf(oauthClient), { revoke_tokens: true });
    expect(await endedTokensOf(oauthClient)).toBe(2);
    const { body } = await askForToken(world, withSecret(oauthClient));
    expect(body.scope).toBe('complaints.read');
  });

  test('the previous secret works until it expires, and no third secret works', async () => {
    const first = await makeOAuthClient(world, admin);
    const rotate = async (body: object) => {
      const { status, body: rotated } = await call('POST', pathOf(first, '/secrets'), body);
      expect(status).toBe(201);
      return { ...rotated, id: first.id, secret: rotated.client_secret };
    };
    const second = await rotate({});
    expect(second.secrets).toHaveLength(2);
    const [, old] = second.secrets;
    expect(Date.parse(old.expires_at) - Date.now()).toBeGreaterThan(23 * 3_600_000);
    expect([await canGetToken(first), await canGetToken(second)]).toEqual([true, true]);
    const third = await rotate({ keep_old_for: 60 });
    expect(third.secrets).toHaveLength(2);
    expect([await canGetToken(first), await canGetToken(second), await canGetToken(third)]).toEqual([
      'invalid_client',
      true,
      true,
    ]);
    const ended = await call('DELETE', pathOf(first, `/secrets/${third.secrets[1].id}`));
    expect(ended.status).toBe(204);
    expect(await canGetToken(second)).toBe('invalid_client');
    const fourth = await rotate({ keep_old_for: 0 });
    expect(fourth.secrets).toHaveLength(1);
    expect(await canGetToken(third)).toBe('invalid_client');
    expect(await endedTokensOf(first)).toBe(0);
    await rotate({ keep_old_for: 0, revoke_tokens: true });
    expect(await endedTokensOf(first)).toBe(1);
    expect((await call('POST', pathOf(first, '/secrets'), { keep_old_for: 604_801 })).status).toBe(422);
  });

  test('refuses an expired secret even while its row exists', async () => {
    const first = await makeOAuthClient(world, admin);
    await call('POST', pathOf(first, '/secrets'), { keep_old_for: 3600 });
    await probing(world.store.db, (trx) =>
      trx
        .updateTable('client_secrets')
        .set({ expires_at: new Date(Date.now() - 1000) })
        .where('client_id', '=', first.id)
        .where('expires_at', 'is not', null)
        .execute(),
    );
    expect(await canGetToken(first)).toBe('invalid_client');
    expect((await call('GET', pathOf(first))).body.secrets).toHaveLength(1);
  });

  test('setting keys deletes the secrets, and a new secret deletes the keys', async () => {
    const oauthClient = await makeOAuthClient(world, admin);
    const { jwk } = await clientKey('EdDSA');
    const keyed = await call('PATCH', pathOf(oauthClient), { jwks: { keys: [jwk] } });
    expect([keyed.body.secrets, keyed.body.jwks.keys.length]).toEqual([[], 1]);
    expect(await canGetToken(oauthClient)).toBe('invalid_client');
    const rotated = await call('POST', pathOf(oauthClient, '/secrets'));
    expect(rotated.body).toMatchObject({ jwks: null, secrets: [{}] });
    expect(await canGetToken({ id: oauthClient.id, secret: rotated.body.client_secret })).toBe(true);
  });

  test('records when the client and the secret were last used', async () => {
    const oauthClient = await makeOAuthClient(world, admin);
    await askForToken(
      world,
      { grant_type: 'client_credentials' },
      { headers: basic(oauthClient.id, oauthClient.secret) },
    );
    const { body } = await call('GET', pathOf(oauthClient));
    expect(Math.abs(Date.parse(body.last_used_at) - Date.now())).toBeLessThan(60_000);
    expect(body.secrets[0].last_used_at).not.toBeNull();
  });

  test('deleting a client revokes its tokens, and the audit log keeps its history', async () => {
    const oauthClient = await makeOAuthClient(world, admin);
    await call('PATCH', pathOf(oauthClient), { name: 'Other' });
    await canGetToken(oauthClient);
    await call('POST', pathOf(oauthClient, '/secrets'));
    expect((await call('DELETE', pathOf(oauthClient))).status).toBe(204);
    expect((await call('GET', pathOf(oauthClient))).status).toBe(404);
    expect((await call('DELETE', pathOf(oauthClient))).status).toBe(404);
    expect(await canGetToken(oauthClient)).toBe('invalid_client');
    expect(await endedTokensOf(oauthClient)).toBe(1);
    const entries = await audited(oauthClient);
    expect(entries.map(({ action }) => action)).toEqual([
      'client.deleted',
      'client.secret_rotated',
      'client.token_issued',
      'client.changed',
      'client.created',
    ]);
    expect(entries[3]).toMatchObject({ user_id: admin.userId, detail: { from: { name: 'Nightly export' } } });
    expect(JSON.stringify(entries)).not.toContain(oauthClient.secret);
  });
});
