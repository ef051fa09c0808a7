import type { IdentityClaims } from '@countersign/identity';
import { databases } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { disableUser } from '../src/flows/operator/operate.ts';
import { type Account, type AccountsWorld, accountsWorld } from './support/accounts-world.ts';
import {
  askForToken,
  claimsOf,
  clientKey,
  type MadeOAuthClient,
  makeOAuthClient,
  scopes,
  withAssertion,
  withSecret,
} from './support/clients.ts';
import { gatewayItself } from './support/gateway.ts';
import { makeTenant, password } from './support/people.ts';
import { probing } from './support/probed-database.ts';
import { issuer } from './support/service.ts';

const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange';
const tokenType = 'urn:countersign:token-type:delegation';

describe.each(databases())('an agent that acts for a person on %s', (_, database) => {
  let world: AccountsWorld;
  let admin: Account;
  let agent: MadeOAuthClient;
  beforeAll(async () => {
    world = await accountsWorld(database, { AUTH_SCOPES: scopes });
    admin = await world.account('admin');
    agent = await makeOAuthClient(world, admin, { name: 'Assistant', grant_types: [exchangeGrant] });
  });
  afterAll(() => world.close());

  const consent = (person: Account, more: object = {}, claims: Partial<IdentityClaims> = {}) =>
    world.call('POST', '/v1/auth/delegations', {
      as: { ...world.as(person), ...claims } as IdentityClaims,
      body: { client_id: agent.id, scopes: ['complaints.read', 'users.read'], expires_in: 3600, ...more },
    });
  const consented = async (person: Account, more: object = {}) => {
    const { status, body, text } = await consent(person, more);
    if (status !== 201) throw new Error(text);
    return body as { id: string; subject_token: string };
  };
  const exchange = (subject: string, more: Record<string, string> = {}, oauthClient = agent) =>
    askForToken(world, {
      ...withSecret(oauthClient),
      grant_type: exchangeGrant,
      subject_token: subject,
      subject_token_type: tokenType,
      ...more,
    });
  const expectRefused = async (answer: ReturnType<typeof exchange>, status: number, error: string) => {
    const { status: got, body } = await answer;
    expect([got, body.error]).toEqual([status, error]);
  };
  const revokedSessions = async () => {
    const { body } = await world.call('GET', '/internal/revocations', { as: gatewayItself });
    const items = body.items as Record<string, string>[];
    return items.filter(({ kind }) => kind === 'session').map(({ sid }) => sid);
  };
  const list = async (person: Account) =>
    (await world.call('GET', '/v1/auth/delegations', { as: world.as(person) })).body.items as { id: string }[];

  test('a user consents, and the client gets a token to act for them', async () => {
    const ann = await world.account('agent');
    const { status, body, headers } = await consent(ann);
    expect([status, headers['cache-control'], headers.location]).toEqual([
      201,
      'no-store',
      `/v1/auth/delegations/${body.id}`,
    ]);
    expect(body).toMatchObject({
      client_id: agent.id,
      client_name: 'Assistant',
      tenant_id: admin.tenant.id,
      scopes: ['complaints.read', 'users.read'],
      current: true,
      subject_token: expect.stringMatching(/^countersign_delegation_[A-Za-z0-9_-]{43}$/),
      subject_token_type: tokenType,
    });
    const answer = await exchange(body.subject_token);
    expect(answer.body).toEqual({
      access_token: expect.any(String),
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      token_type: 'Bearer',
      expires_in: 900,
      scope: 'complaints.read users.read',
    });
    const claims = claimsOf(answer);
    expect(claims).toEqual({
      iss: issuer,
      aud: 'complaints-api',
      sub: ann.userId,
      user_id: ann.userId,
      role: 'agent',
      tenant_id: admin.tenant.id,
      sid: body.id,
      client_id: agent.id,
      scope: 'complaints.read users.read',
      act: { sub: agent.id, iss: issuer },
      auth_time: expect.any(Number),
      amr: ['pwd'],
      jti: expect.any(String),
      iat: expect.any(Number),
      exp: (claims.iat ?? 0) + 900,
    });
    const rows = await probing(world.store.db, (trx) => trx.selectFrom('delegations').selectAll().execute());
    for (const held of [JSON.stringify(rows), JSON.stringify(world.log.lines())])
      expect(held).not.toContain(body.subject_token);
  });

  test('a client with keys exchanges a token too, and gets one that is bound to its key', async () => {
    const key = await clientKey('ES256');
    const { id } = await makeOAuthClient(world, admin, { grant_types: [exchangeGrant], jwks: { keys: [key.jwk] } });
    const { subject_token } = await consented(await world.account('agent'), { client_id: id });
    const jkt = 'B'.repeat(43);
    const answer = await askForToken(
      world,
      {
        ...withAssertion(await key.assertion(id)),
        grant_type: exchangeGrant,
        subject_token,
        subject_token_type: tokenType,
      },
      { as: { kind: 'anonymous', context: { jkt } } },
    );
    expect([answer.body.token_type, claimsOf(answer).cnf]).toEqual(['DPoP', { jkt }]);
  });

  test('a client gets only the requested scopes, and never more than the user allowed', async () => {
    const { subject_token } = await consented(await world.account('agent'), { scopes: ['users.read'] });
    expect((await exchange(subject_token, { scope: 'users.read' })).body.scope).toBe('users.read');
    await expectRefused(exchange(subject_token, { scope: 'users.read complaints.read' }), 400, 'invalid_scope');
    await expectRefused(exchange(subject_token, { scope: 'complaints.write' }), 400, 'invalid_scope');
  });

  test('a client loses a scope that was removed from it after the consent', async () => {
    const oauthClient = await makeOAuthClient(world, admin, { grant_types: [exchangeGrant] });
    const { subject_token } = await consented(await world.account('agent'), { client_id: oauthClient.id });
    const change = (to: object) =>
      world.call('PATCH', `/v1/auth/tenants/${admin.tenant.id}/clients/${oauthClient.id}`, {
        as: world.as(admin),
        body: to,
      });
    await change({ scopes: ['users.read'] });
    expect((await exchange(subject_token, {}, oauthClient)).body.scope).toBe('users.read');
    await change({ scopes: [] });
    await expectRefused(exchange(subject_token, {}, oauthClient), 400, 'invalid_scope');
    await change({ grant_types: ['client_credentials'] });
    await expectRefused(exchange(subject_token, {}, oauthClient), 400, 'unauthorized_client');
  });

  test('no token outlives the consent', async () => {
    const { id, subject_token } = await consented(await world.account('agent'), { expires_in: 60 });
    const { body } = await exchange(subject_token);
    expect(body.expires_in).toBeLessThanOrEqual(60);
    expect(body.expires_in).toBeGreaterThan(30);
    await probing(world.store.db, (trx) =>
      trx
        .updateTable('delegations')
        .set({ expires_at: new Date(Date.now() - 1) })
        .where('id', '=', id)
        .execute(),
    );
    await expectRefused(exchange(subject_token), 400, 'invalid_request');
  });

  test('parameters that name another tenant or user are ignored', async () => {
    const ann = await world.account('agent');
    const { subject_token } = await consented(ann);
    const more = { tenant_id: 'globex', requested_subject: admin.userId, user_id: admin.userId, role: 'admin' };
    const claims = claimsOf(await exchange(subject_token, more));
    expect([claims.sub, claims.user_id, claims.role, claims.tenant_id]).toEqual([
      ann.userId,
      ann.userId,
      'agent',
      admin.tenant.id,
    ]);
  });

  test.each<[string, (subject: string) => Record<string, string>]>([
    ['a changed token', (subject) => ({ subject_token: `${subject}x` })],
    ['a missing token', () => ({ subject_token: '' })],
    ['an access token of the person', () => ({ subject_token_type: 'urn:ietf:params:oauth:token-type:access_token' })],
    ['an actor token', (subject) => ({ actor_token: subject })],
    [
      'a request for a refresh token',
      () => ({ requested_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' }),
    ],
  ])('refuses %s', async (_name, more) => {
    const { subject_token } = await consented(await world.account('agent'));
    await expectRefused(exchange(subject_token, more(subject_token)), 400, 'invalid_request');
  });

  test('refuses another client of the tenant, a client of another tenant, and a client that cannot act for users', async () => {
    const ann = await world.account('agent');
    const { subject_token } = await consented(ann);
    const second = await makeOAuthClient(world, admin, { grant_types: [exchangeGrant] });
    await expectRefused(exchange(subject_token, {}, second), 400, 'invalid_request');
    const foreigner = await world.account('admin', [await makeTenant(world.store.db, 'globex')]);
    const foreign = await makeOAuthClient(world, foreigner, { grant_types: [exchangeGrant] });
    await expectRefused(exchange(subject_token, {}, foreign), 400, 'invalid_request');
    const plain = await makeOAuthClient(world, admin);
    for (const client_id of [foreign.id, plain.id, 'client-01936f00-0000-7000-8000-000000000000']) {
      const answer = await consent(ann, { client_id });
      expect([answer.status, answer.body.errors[0].path]).toEqual([422, 'client_id']);
    }
  });

  test.each<[string, object]>([
    ['a scope that the client lacks', { scopes: ['complaints.write'] }],
    ['no scope', { scopes: [] }],
    ['a lifetime over a month', { expires_in: 30 * 24 * 3600 + 1 }],
    ['a lifetime under a minute', { expires_in: 59 }],
    ['no lifetime', { expires_in: undefined }],
    ['an invalid client id', { client_id: 'x' }],
  ])('refuses a consent with %s', async (_name, more) => {
    expect((await consent(await world.account('agent'), more)).status).toBe(422);
  });

  test('refuses consent from an agent, from a client, and from an ended session', async () => {
    const ann = await world.account('agent');
    const { id } = await consented(ann);
    const act = { sub: agent.id, iss: issuer };
    const byAgent = await consent(ann, {}, { context: { sid: id, act } });
    expect([byAgent.status, byAgent.body.code]).toEqual([403, 'actor_not_allowed']);
    // Even if the actor were ignored, its session could not consent.
    const unnoticed = await consent(ann, {}, { context: { sid: id } });
    expect([unnoticed.status, unnoticed.body.code]).toEqual([401, 'session_revoked']);
    const byClient = await consent(ann, {}, { kind: 'client', clientId: agent.id } as Partial<IdentityClaims>);
    expect(byClient.status).toBe(403);
    const otherKey = await consent(ann, {}, { context: { sid: ann.sid, jkt: 'C'.repeat(43) } });
    expect(otherKey.body.code).toBe('session_revoked');
    await world.post('/v1/auth/logout', {}, ann);
    expect((await consent(ann)).body.code).toBe('session_revoked');
  });

  test.each(['GET /v1/auth/sessions', 'GET /v1/auth/delegations', 'POST /v1/auth/logout', 'GET /v1/auth/mfa'])(
    'an agent cannot %s for the user',
    async (call) => {
      const ann = await world.account('agent');
      const { id } = await consented(ann);
      const [method, path] = call.split(' ') as ['GET' | 'POST', string];
      const context = { sid: id, act: { sub: agent.id, iss: issuer } };
      const answer = await world.call(method, path, {
        as: { ...world.as(ann), context } as IdentityClaims,
        ...(method === 'POST' && { body: { scope: 'all' } }),
      });
      expect([answer.status, answer.body.code]).toEqual([403, 'actor_not_allowed']);
      expect((await exchange((await consented(ann)).subject_token)).status).toBe(200);
    },
  );

  test('lists valid consents only to their owner, who can withdraw each one separately', async () => {
    const ann = await world.account('agent');
    const bob = await world.account('agent');
    const [first, second] = [await consented(ann), await consented(ann)];
    expect(await list(ann)).toMatchObject([
      { id: second.id, client_name: 'Assistant', current: true },
      { id: first.id, last_used_at: null },
    ]);
    expect(JSON.stringify(await list(ann))).not.toContain('countersign_delegation_');
    const withdraw = (person: Account, id: string) =>
      world.call('DELETE', `/v1/auth/delegations/${id}`, { as: world.as(person) });
    expect((await withdraw(bob, first.id)).status).toBe(404);
    expect((await withdraw(ann, first.id)).status).toBe(204);
    expect((await withdraw(ann, first.id)).status).toBe(404);
    await expectRefused(exchange(first.subject_token), 400, 'invalid_request');
    expect((await exchange(second.subject_token)).status).toBe(200);
    const revoked = await revokedSessions();
    expect([revoked.includes(first.id), revoked.includes(second.id), revoked.includes(ann.sid)]).toEqual([
      true,
      false,
      false,
    ]);
    expect((await list(ann)).map(({ id }) => id)).toEqual([second.id]);
    expect(await list(bob)).toEqual([]);
    const { body } = await world.call('GET', '/v1/auth/audit?limit=100', { as: world.as(admin) });
    const entries = body.items as { action: string; user_id: string; detail: Record<string, unknown> }[];
    const actions = entries.filter(({ user_id }) => user_id === ann.userId).map(({ action }) => action);
    expect(actions).toEqual([
      'delegation.used',
      'delegation.withdrawn',
      'delegation.granted',
      'delegation.granted',
      'session.started',
    ]);
  });

  /** Far more consents than the limit allows today. */
  const addDelegations = (person: Account, count: number) =>
    probing(world.store.db, (trx) =>
      sql`insert into delegations (id, tenant_id, user_id, client_id, session_id, scopes, token_hash, expires_at)
          select gen_random_uuid()::text, ${admin.tenant.id}, ${person.userId}, ${agent.id}, ${person.sid}, '{users.read}',
            sha256(gen_random_uuid()::text::bytea), clock_timestamp() + interval '1 hour'
          from generate_series(1, ${count}::int)`.execute(trx),
    );

  test('ends a session with any number of consents', async () => {
    const ann = await world.account('agent');
    // With five parameters each, this exceeds the limit of one statement.
    await addDelegations(ann, 13_200);
    expect((await world.post('/v1/auth/logout', {}, ann)).status).toBe(204);
    const { rows } = await probing(world.store.db, (trx) =>
      sql<{ count: number }>`select count(*)::int as count from revocations where user_id = ${ann.userId}`.execute(trx),
    );
    expect(rows[0]?.count).toBe(13_201);
    await probing(world.store.db, (trx) => trx.deleteFrom('revocations').where('user_id', '=', ann.userId).execute());
  });

  test('limits a user to 100 valid consents, even with concurrent requests', async () => {
    const ann = await world.account('agent');
    await addDelegations(ann, 95);
    const answers = await Promise.all(Array.from({ length: 10 }, () => consent(ann)));
    const refused = answers.filter(({ status }) => status !== 201);
    expect(refused.map(({ status, body }) => [status, body.code])).toEqual(
      Array.from({ length: 5 }, () => [409, 'too_many_delegations']),
    );
    const [newest] = await list(ann);
    await world.call('DELETE', `/v1/auth/delegations/${newest?.id}`, { as: world.as(ann) });
    expect((await consent(ann)).status).toBe(201);
    expect((await consent(ann)).status).toBe(409);
    const { body } = await world.logIn(ann.email);
    await world.post('/v1/auth/logout', {}, ann);
    // Consents of an ended session do not count.
    expect((await consent({ ...ann, sid: body.session_id })).status).toBe(201);
  });

  test('shows a user the agents of their tenant', async () => {
    const { body } = await world.call('GET', '/v1/auth/agents', { as: world.as(await world.account('agent')) });
    expect(body.items).toContainEqual({
      client_id: agent.id,
      name: 'Assistant',
      scopes: ['complaints.read', 'users.read'],
    });
  });

  describe('a consent and its tokens end in the same transaction as', () => {
    test.each<[string, (person: Account) => Promise<unknown>]>([
      ['the session', (person) => world.post('/v1/auth/logout', {}, person)],
      ['all sessions', (person) => world.post('/v1/auth/logout', { scope: 'all' }, person)],
      [
        'the session, ended from another session',
        async (person) => {
          const { body } = await world.logIn(person.email);
          await world.post('/v1/auth/logout', { scope: 'others' }, { ...person, sid: body.session_id });
        },
      ],
      [
        'the membership',
        (person) =>
          world.call('PATCH', `/v1/auth/tenants/${admin.tenant.id}/members/${person.userId}`, {
            as: world.as(admin),
            body: { status: 'disabled' },
          }),
      ],
      ['the account', (person) => disableUser(world.store.db, person.email, 'test')],
      [
        'the password, when it is changed',
        async (person) => {
          const { body } = await world.logIn(person.email);
          const change = { current_password: password, new_password: 'a stapler under the piano' };
          await world.post('/v1/auth/password/change', change, { ...person, sid: body.session_id });
        },
      ],
    ])('%s', async (_name, end) => {
      const ann = await world.account('agent');
      const { id, subject_token } = await consented(ann);
      expect((await exchange(subject_token)).status).toBe(200);
      await end(ann);
      expect(await revokedSessions()).toEqual(expect.arrayContaining([ann.sid, id]));
      await expectRefused(exchange(subject_token), 400, 'invalid_request');
      expect(await list(ann)).toEqual([]);
    });

    test('the session, including a consent with expired tokens that verifiers still accept', async () => {
      const ann = await world.account('agent');
      const { id } = await consented(ann);
      await probing(world.store.db, (trx) =>
        trx.updateTable('delegations').set({ expires_at: sql<Date>`clock_timestamp()` }).where('id', '=', id).execute(),
      );
      await world.post('/v1/auth/logout', {}, ann);
      expect(await revokedSessions()).toContain(id);
    });

    test('the client', async () => {
      const oauthClient = await makeOAuthClient(world, admin, { grant_types: [exchangeGrant] });
      const ann = await world.account('agent');
      const { subject_token } = await consented(ann, { client_id: oauthClient.id });
      const path = `/v1/auth/tenants/${admin.tenant.id}/clients/${oauthClient.id}`;
      await world.call('PATCH', path, { as: world.as(admin), body: { status: 'disabled' } });
      await expectRefused(exchange(subject_token, {}, oauthClient), 401, 'invalid_client');
      await world.call('DELETE', path, { as: world.as(admin) });
      expect(await list(ann)).toEqual([]);
    });

    test('the session, after reuse of a refresh token', async () => {
      const ann = await world.account('agent');
      const { body } = await world.logIn(ann.email);
      const person = { ...ann, sid: body.session_id };
      const { id, subject_token } = await consented(person);
      const refresh = () => world.post('/v1/auth/refresh', { refresh_token: body.refresh_token });
      const next = await refresh();
      await world.post('/v1/auth/refresh', { refresh_token: next.body.refresh_token });
      expect((await refresh()).body.code).toBe('refresh_token_reused');
      expect(await revokedSessions()).toContain(id);
      await expectRefused(exchange(subject_token), 400, 'invalid_request');
    });
  });

  test('a token exchanged during a logout is revoked or never issued', async () => {
    const ann = await world.account('agent');
    const made = await Promise.all(Array.from({ length: 5 }, () => consented(ann)));
    const [, ...answers] = await Promise.all([
      world.post('/v1/auth/logout', {}, ann),
      ...made.map(({ subject_token }) => exchange(subject_token)),
      ...made.map(({ subject_token }) => exchange(subject_token)),
    ]);
    const revoked = await revokedSessions();
    for (const answer of answers)
      if (answer.status === 200) expect(revoked).toContain(claimsOf(answer).sid);
      else expect(answer.body.error).toBe('invalid_request');
    await expectRefused(exchange(made[0]?.subject_token ?? ''), 400, 'invalid_request');
  });
});
