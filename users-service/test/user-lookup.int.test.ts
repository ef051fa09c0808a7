import type { IdentityClaims } from '@countersign/identity';
import { asUser, databases, type Person, people } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { applyMembershipUpdate } from '../src/store/members.ts';
import { inTenant, membershipRole, type Trx } from '../src/store/schema.ts';
import { usersWorld } from './world.ts';

const { complainant, agent, admin, stranger } = people;
const service = (user?: Person): IdentityClaims => ({
  kind: 'service',
  serviceId: 'complaint-service',
  ...(user && { user }),
});

describe.each(databases())('looking up a user for another service, on %s', (_kind, database) => {
  let world: Awaited<ReturnType<typeof usersWorld>>;
  beforeAll(async () => {
    world = await usersWorld(database);
  });
  afterAll(() => world.close());
  const ask = (claims: IdentityClaims, id: string) => {
    const target = `/internal/users/${id}`;
    return world.send('GET', target, world.sign({ method: 'GET', target, claims }));
  };

  test('returns the role and status in the tenant, and nothing more', async () => {
    const { body } = await ask(service(admin), agent.userId).expect(200);
    expect(body).toEqual({ id: agent.userId, role: 'agent', status: 'active' });
    expect((await ask(service(agent), complainant.userId).expect(200)).body.role).toBe('complainant');
  });

  test('gives the same response for another tenant’s user, an unknown user and an invalid id', async () => {
    for (const [claims, id] of [
      [service(agent), stranger.userId],
      [service(stranger), agent.userId],
      [service(agent), '0197c2a0-0000-7000-8000-0000000000ff'],
      [service(agent), 'a%00b'],
    ] as const) {
      const { body } = await ask(claims, id).expect(404);
      expect(body.code).toBe('unknown_user');
    }
  });

  test('serves only services that act for a user, and reads no row for other callers', async () => {
    const before = world.transactions();
    expect((await ask(service(), agent.userId).expect(403)).body.code).toBe('acting_user_required');
    for (const claims of [asUser(admin), { kind: 'anonymous' }, { kind: 'gateway' }] as const) {
      expect((await ask(claims, agent.userId).expect(403)).body.code).toBe('identity_not_allowed');
    }
    await world.send('GET', `/internal/users/${agent.userId}`, {}).expect(401);
    expect(world.transactions()).toBe(before);
  });

  const names = (claims: IdentityClaims, ids: unknown) => {
    const [target, body] = ['/internal/users/names', JSON.stringify({ ids })];
    const signed = world.sign({ method: 'POST', target, body, claims, contentType: 'application/json' });
    return world.send('POST', target, { ...signed, 'content-type': 'application/json' }, body);
  };

  test('returns the names of members, and never those of another tenant’s members', async () => {
    const asked = [agent.userId, complainant.userId, stranger.userId, 'unknown'];
    const own = { [agent.userId]: 'Agent Smith', [complainant.userId]: 'Complainant Smith' };
    expect((await names(service(complainant), asked).expect(200)).body).toEqual({ names: own });
    expect((await names(service(stranger), asked).expect(200)).body).toEqual({
      names: { [stranger.userId]: 'Stranger Smith' },
    });
    expect((await names(service(agent), []).expect(200)).body).toEqual({ names: {} });
    await names(service(agent), ['a b']).expect(422);
    await names(
      service(agent),
      Array.from({ length: 301 }, (_, n) => `u${n}`),
    ).expect(422);
    expect((await names(service(), asked).expect(403)).body.code).toBe('acting_user_required');
  });

  test('staff see the address of a member without a name, and complainants do not', async () => {
    const nameless = { tenant_id: agent.tenantId, user_id: 'nameless', role: 'agent', status: 'active' } as const;
    const apply = (trx: Trx) => applyMembershipUpdate(trx, { ...nameless, email: 'nameless@acme.test', sequence: 1 });
    await inTenant(world.db, agent.tenantId, apply, membershipRole);
    for (const [who, seen] of [
      [agent, { nameless: 'nameless@acme.test' }],
      [complainant, {}],
    ] as const)
      expect((await names(service(who), ['nameless']).expect(200)).body).toEqual({ names: seen });
  });

  test.each(['/internal/members/names', '/internal/members/name'])('only the auth-service calls %s', async (target) => {
    const body = JSON.stringify({
      tenant_id: agent.tenantId,
      ...(target.endsWith('s') ? { ids: [agent.userId] } : { user_id: agent.userId, display_name: 'Eve' }),
    });
    const send = (claims: IdentityClaims) => {
      const signed = world.sign({ method: 'POST', target, body, claims, contentType: 'application/json' });
      return world.send('POST', target, { ...signed, 'content-type': 'application/json' }, body);
    };
    const before = world.transactions();
    expect((await send(service(admin)).expect(403)).body.code).toBe('not_the_source');
    expect((await send(asUser(admin)).expect(403)).body.code).toBe('identity_not_allowed');
    expect(world.transactions()).toBe(before);
  });

  test('returns addresses of active members of the named tenant only to the complaint-service', async () => {
    const target = '/internal/users/addresses';
    const addresses = (claims: IdentityClaims, body: object) => {
      const text = JSON.stringify(body);
      const signed = world.sign({ method: 'POST', target, body: text, claims, contentType: 'application/json' });
      return world.send('POST', target, { ...signed, 'content-type': 'application/json' }, text);
    };
    const mailing = { kind: 'service', serviceId: 'complaint-service' } as const;
    const ids = [agent.userId, stranger.userId, 'unknown'];
    expect((await addresses(mailing, { tenant_id: agent.tenantId, ids }).expect(200)).body).toEqual({
      members: [
        {
          id: agent.userId,
          role: 'agent',
          status: 'active',
          email: 'agent@acme.test',
          display_name: expect.anything(),
          locale: null,
        },
      ],
    });
    const update = { tenant_id: agent.tenantId, user_id: agent.userId, role: 'agent', email: 'agent@acme.test' };
    for (const [status, sequence, found] of [
      ['inactive', 1, 0],
      ['active', 2, 1],
    ] as const) {
      const apply = (trx: Trx) => applyMembershipUpdate(trx, { ...update, status, sequence });
      await inTenant(world.db, agent.tenantId, apply, membershipRole);
      const { body } = await addresses(mailing, { tenant_id: agent.tenantId, ids }).expect(200);
      expect(body.members).toHaveLength(found);
    }
    const before = world.transactions();
    const other = { ...mailing, serviceId: 'auth-service' };
    expect((await addresses(other, { tenant_id: agent.tenantId, ids }).expect(403)).body.code).toBe('not_a_mailer');
    await addresses(asUser(admin), { tenant_id: agent.tenantId, ids }).expect(403);
    await addresses(mailing, { ids }).expect(422);
    expect(world.transactions()).toBe(before);
  });

  test('a service cannot use the routes for users', async () => {
    for (const target of ['/v1/users', '/v1/users/me', `/v1/users/${agent.userId}`]) {
      const { body } = await world
        .send('GET', target, world.sign({ method: 'GET', target, claims: service(admin) }))
        .expect(403);
      expect(body.code).toBe('identity_not_allowed');
    }
  });
});
