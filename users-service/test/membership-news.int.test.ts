import type { IdentityFacts } from '@countersign/identity';
import { asUser, databases, people, tenants } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { usersWorld } from './world.ts';

const { agent, admin } = people;
const authService: IdentityFacts = { kind: 'service', serviceId: 'auth-service' };

describe.each(databases())('news of members from the auth-service, on %s', (_kind, database) => {
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
  const tell = (news: object, facts: IdentityFacts = authService) => {
    const body = JSON.stringify({
      event_id: 'e',
      tenant_id: tenants.acme,
      email: 'new@acme.test',
      role: 'agent',
      status: 'active',
      ...news,
    });
    const contentType = 'application/json';
    const headers = world.sign({ method: 'POST', target, body, contentType, facts });
    return world.send('POST', target, { ...headers, 'content-type': contentType }, body);
  };
  const seen = async (userId: string) => (await world.call(admin, 'GET', `/v1/users/${userId}`)).body;

  test('make a member, who is in the directory before they ever came', async () => {
    const userId = newcomer();
    expect((await tell({ user_id: userId, sequence: 5 }).expect(200)).body).toEqual({ applied: true });
    expect(await seen(userId)).toMatchObject({
      id: userId,
      email: 'new@acme.test',
      role: 'agent',
      status: 'active',
      display_name: null,
    });
    expect((await seen(userId)).sequence).toBeUndefined();
  });

  test('count once, and never when they are older than what is known', async () => {
    const userId = newcomer();
    await tell({ user_id: userId, sequence: 10, role: 'complainant' }).expect(200);
    const etag = (await world.call(admin, 'GET', `/v1/users/${userId}`)).headers.etag;
    for (const late of [
      { sequence: 10, role: 'admin' },
      { sequence: 9, status: 'disabled' },
    ]) {
      expect((await tell({ user_id: userId, ...late }).expect(200)).body).toEqual({ applied: false });
    }
    const after = await world.call(admin, 'GET', `/v1/users/${userId}`);
    expect([after.body.role, after.body.status, after.headers.etag]).toEqual(['complainant', 'active', etag]);
    expect((await tell({ user_id: userId, sequence: 11, status: 'disabled' }).expect(200)).body.applied).toBe(true);
    expect(await seen(userId)).toMatchObject({ role: 'agent', status: 'inactive' });
  });

  test('end as the newest says, in whatever order and however often they come', async () => {
    const userId = newcomer();
    const order = [3, 1, 4, 4, 2, 5, 3];
    await Promise.all(
      order.map((sequence) => tell({ user_id: userId, sequence, email: `${sequence}@acme.test` }).expect(200)),
    );
    expect((await seen(userId)).email).toBe('5@acme.test');
  });

  test('leave alone what the person said of themselves', async () => {
    await world
      .call(agent, 'PATCH', '/v1/users/me', { body: { display_name: 'Aggie', phone: '+43 1 234' } })
      .expect(200);
    await tell({ user_id: agent.userId, sequence: 1, email: 'aggie@acme.test' }).expect(200);
    expect(await seen(agent.userId)).toMatchObject({
      display_name: 'Aggie',
      phone: '+43 1 234',
      email: 'aggie@acme.test',
    });
  });

  test.each<[string, IdentityFacts, string]>([
    ['another service', { kind: 'service', serviceId: 'complaint-service' }, 'not_the_source'],
    ['an administrator', asUser(admin), 'identity_not_allowed'],
    ['nobody', { kind: 'anonymous' }, 'identity_not_allowed'],
    ['the gateway', { kind: 'gateway' }, 'identity_not_allowed'],
  ])('are not taken from %s, and no row is touched', async (_who, facts, code) => {
    const before = world.transactions();
    const { body } = await tell({ user_id: newcomer(), sequence: 1 }, facts).expect(403);
    expect(body.code).toBe(code);
    expect(world.transactions()).toBe(before);
  });

  test.each<[string, object]>([
    ['no sequence', {}],
    ['a sequence that is none', { sequence: 0 }],
    ['a tenant that is none', { sequence: 1, tenant_id: "x' or true --" }],
    ['a state that is none', { sequence: 1, status: 'owner' }],
    ['a role with a line break', { sequence: 1, role: 'agent\r\nx: y' }],
  ])('are refused with %s', async (_what, news) => {
    const { body } = await tell({ user_id: newcomer(), ...news }).expect(422);
    expect(body.code).toBe('validation_failed');
  });
});
