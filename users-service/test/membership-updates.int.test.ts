import type { IdentityClaims } from '@countersign/identity';
import { asUser, databases, eventually, people, tenants } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { applyMembershipUpdate } from '../src/store/members.ts';
import { inTenant, membershipRole, type Trx } from '../src/store/schema.ts';
import { usersWorld } from './world.ts';

const { agent, admin } = people;
const authService: IdentityClaims = { kind: 'service', serviceId: 'auth-service' };

describe.each(databases())('membership updates from the auth-service, on %s', (kind, database) => {
  let world: Awaited<ReturnType<typeof usersWorld>>;
  let made = 0;
  beforeAll(async () => {
    world = await usersWorld(database);
  });
  afterAll(() => world.close());

  const target = '/internal/memberships';
  const newcomer = () => {
    made += 1;
    return `01980000-0000-7000-8000-${String(made).padStart(12, '0')}`;
  };
  const sendUpdate = (update: object, claims: IdentityClaims = authService) => {
    const body = JSON.stringify({
      event_id: 'e',
      tenant_id: tenants.acme,
      email: 'new@acme.test',
      role: 'agent',
      status: 'active',
      ...update,
    });
    const contentType = 'application/json';
    const headers = world.sign({ method: 'POST', target, body, contentType, claims });
    return world.send('POST', target, { ...headers, 'content-type': contentType }, body);
  };
  const seen = async (userId: string) => (await world.call(admin, 'GET', `/v1/users/${userId}`)).body;

  test('an update creates a member, who appears in the directory before their first request', async () => {
    const userId = newcomer();
    expect((await sendUpdate({ user_id: userId, sequence: 5 }).expect(200)).body).toEqual({ applied: true });
    expect(await seen(userId)).toMatchObject({
      id: userId,
      email: 'new@acme.test',
      role: 'agent',
      status: 'active',
      display_name: null,
    });
    expect((await seen(userId)).sequence).toBeUndefined();
  });

  test('an update applies once, and never if it is older than the stored one', async () => {
    const userId = newcomer();
    await sendUpdate({ user_id: userId, sequence: 10, role: 'complainant' }).expect(200);
    const etag = (await world.call(admin, 'GET', `/v1/users/${userId}`)).headers.etag;
    for (const late of [
      { sequence: 10, role: 'admin' },
      { sequence: 9, status: 'disabled' },
    ]) {
      expect((await sendUpdate({ user_id: userId, ...late }).expect(200)).body).toEqual({ applied: false });
    }
    const after = await world.call(admin, 'GET', `/v1/users/${userId}`);
    expect([after.body.role, after.body.status, after.headers.etag]).toEqual(['complainant', 'active', etag]);
    expect((await sendUpdate({ user_id: userId, sequence: 11, status: 'disabled' }).expect(200)).body.applied).toBe(
      true,
    );
    expect(await seen(userId)).toMatchObject({ role: 'agent', status: 'inactive' });
  });

  test('updates result in the newest state, in any order and with repeats', async () => {
    const userId = newcomer();
    const order = [3, 1, 4, 4, 2, 5, 3];
    await Promise.all(
      order.map((sequence) => sendUpdate({ user_id: userId, sequence, email: `${sequence}@acme.test` }).expect(200)),
    );
    expect((await seen(userId)).email).toBe('5@acme.test');
  });

  test('a name in an update becomes the display name, once', async () => {
    const userId = newcomer();
    await sendUpdate({ user_id: userId, sequence: 5, display_name: 'Ann Archer' }).expect(200);
    expect(await seen(userId)).toMatchObject({ display_name: 'Ann Archer', role: 'agent' });
    await sendUpdate({ user_id: userId, sequence: 5, display_name: 'Eve' }).expect(200);
    await sendUpdate({ user_id: userId, sequence: 6 }).expect(200);
    expect((await seen(userId)).display_name).toBe('Ann Archer');
    await sendUpdate({ user_id: userId, sequence: 7, display_name: 'two\nlines' }).expect(422);
  });

  test('an update keeps the fields that the person edited', async () => {
    await world
      .call(agent, 'PATCH', '/v1/users/me', { body: { display_name: 'Aggie', phone: '+43 1 234' } })
      .expect(200);
    await sendUpdate({ user_id: agent.userId, sequence: 1, email: 'aggie@acme.test' }).expect(200);
    expect(await seen(agent.userId)).toMatchObject({
      display_name: 'Aggie',
      phone: '+43 1 234',
      email: 'aggie@acme.test',
    });
  });

  describe('membership updates take precedence over older tokens', () => {
    const roles = ['complainant', 'agent', 'admin'];
    const withToken = (userId: string, role: string) => ({ tenantId: tenants.acme, userId, role });
    const me = (userId: string, role: string) => world.call(withToken(userId, role), 'GET', '/v1/users/me').expect(200);
    const rename = (userId: string, role: string) =>
      world
        .call(withToken(userId, role), 'PATCH', '/v1/users/me', { body: { display_name: `once ${role}` } })
        .expect(200);

    test('a demoted member keeps the new role when the old token reads or writes', async () => {
      const userId = newcomer();
      await me(userId, 'admin');
      await sendUpdate({ user_id: userId, sequence: 1, role: 'complainant' }).expect(200);
      const { etag } = (await world.call(admin, 'GET', `/v1/users/${userId}`)).headers;
      expect((await me(userId, 'admin')).headers.etag).toBe(etag);
      expect((await me(userId, 'admin')).body.role).toBe('complainant');
      expect((await rename(userId, 'admin')).body).toMatchObject({ role: 'complainant', display_name: 'once admin' });
      expect((await seen(userId)).role).toBe('complainant');
    });

    test('a member created by an update also keeps their role', async () => {
      const userId = newcomer();
      await sendUpdate({ user_id: userId, sequence: 1, role: 'complainant' }).expect(200);
      expect((await me(userId, 'admin')).body).toMatchObject({ role: 'complainant', email: 'new@acme.test' });
    });

    test('updates that arrive after the old token was used still apply', async () => {
      const userId = newcomer();
      await rename(userId, 'admin');
      expect((await me(userId, 'admin')).body.role).toBe('admin');
      await sendUpdate({ user_id: userId, sequence: 1, role: 'agent' }).expect(200);
      expect((await me(userId, 'admin')).body.role).toBe('agent');
      expect((await rename(userId, 'admin')).body.role).toBe('agent');
    });

    test('a disabled member stays inactive', async () => {
      const userId = newcomer();
      await me(userId, 'agent');
      await sendUpdate({ user_id: userId, sequence: 1, status: 'disabled' }).expect(200);
      expect((await me(userId, 'admin')).body).toMatchObject({ role: 'agent', status: 'inactive' });
      expect((await rename(userId, 'agent')).body.status).toBe('inactive');
    });

    test('older updates and an old token change nothing, in either order', async () => {
      const userId = newcomer();
      await sendUpdate({ user_id: userId, sequence: 20, role: 'complainant', status: 'disabled' }).expect(200);
      await me(userId, 'admin');
      await sendUpdate({ user_id: userId, sequence: 10, role: 'admin' }).expect(200);
      await me(userId, 'admin');
      expect(await seen(userId)).toMatchObject({ role: 'complainant', status: 'inactive' });
    });

    test('many requests with old tokens during an update do not undo it', async () => {
      const userId = newcomer();
      await me(userId, 'admin');
      await Promise.all([
        ...Array.from({ length: 20 }, (_, at) => me(userId, roles[at % 3] ?? '')),
        sendUpdate({ user_id: userId, sequence: 1, role: 'agent' }).expect(200),
        ...Array.from({ length: 20 }, (_, at) => rename(userId, roles[at % 3] ?? '')),
      ]);
      expect((await seen(userId)).role).toBe('agent');
    });

    // PGlite runs one transaction at a time, so nothing can run between the two.
    if (kind !== 'postgres') return;
    test('updates that commit while a role is copied from a token apply', async () => {
      const userId = newcomer();
      await me(userId, 'complainant');
      const update = { tenant_id: tenants.acme, user_id: userId, email: 'e', role: 'agent', status: 'active' } as const;
      const request = Promise.withResolvers<unknown>();
      const applyAndWait = async (trx: Trx) => {
        await applyMembershipUpdate(trx, { ...update, sequence: 1 });
        request.resolve(me(userId, 'admin'));
        await eventually(async () => {
          const { rows } = await sql`select from pg_locks where not granted
            and pid in (select pid from pg_stat_activity where datname = current_database())`.execute(trx);
          expect(rows).toHaveLength(1);
        });
      };
      await inTenant(world.db, tenants.acme, applyAndWait, membershipRole);
      await request.promise;
      expect((await seen(userId)).role).toBe('agent');
    });
  });

  test.each<[string, IdentityClaims, string]>([
    ['another service', { kind: 'service', serviceId: 'complaint-service' }, 'not_the_source'],
    ['an administrator', asUser(admin), 'identity_not_allowed'],
    ['an anonymous caller', { kind: 'anonymous' }, 'identity_not_allowed'],
    ['the gateway', { kind: 'gateway' }, 'identity_not_allowed'],
    ['an OAuth client', { kind: 'client', clientId: 'auth-service' }, 'identity_not_allowed'],
    [
      'the auth-service for an OAuth client',
      { ...authService, client: { clientId: 'client-7' } },
      'identity_not_allowed',
    ],
  ])('an update from %s is not accepted, and changes no row', async (_who, claims, code) => {
    const before = world.transactions();
    const { body } = await sendUpdate({ user_id: newcomer(), sequence: 1 }, claims).expect(403);
    expect(body.code).toBe(code);
    expect(world.transactions()).toBe(before);
  });

  test.each<[string, object]>([
    ['a missing sequence', {}],
    ['an invalid sequence', { sequence: 0 }],
    ['an invalid tenant', { sequence: 1, tenant_id: "x' or true --" }],
    ['an invalid status', { sequence: 1, status: 'owner' }],
    ['a role with a line break', { sequence: 1, role: 'agent\r\nx: y' }],
  ])('an update is refused for %s', async (_what, update) => {
    const { body } = await sendUpdate({ user_id: newcomer(), ...update }).expect(422);
    expect(body.code).toBe('validation_failed');
  });
});
