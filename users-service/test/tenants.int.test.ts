import type { IdentityClaims } from '@countersign/identity';
import { databases, people, tenants } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { api } from '../src/routes/api.ts';
import { usersWorld } from './world.ts';

const { agent, complainant } = people;
const names = ['acme', 'globex'] as const;
type Name = (typeof names)[number];

describe.each(databases())('two tenants with equal user ids on %s', (_kind, database) => {
  let world: Awaited<ReturnType<typeof usersWorld>>;
  const called = new Set<string>();
  beforeAll(async () => {
    world = await usersWorld(database);
    for (const name of names) {
      for (const { userId, role } of [agent, complainant]) {
        await internal(name, '/internal/memberships', {
          event_id: 'equal',
          sequence: 1,
          tenant_id: tenants[name],
          user_id: userId,
          email: `${userId}@${name}.test`,
          role: name === 'acme' ? role : 'admin',
          status: 'active',
        });
      }
    }
  });
  afterAll(() => world.close());

  const inTenant = (name: Name) => ({ ...agent, tenantId: tenants[name] });
  const internal = async (name: Name, target: string, json?: object, method = 'POST') => {
    called.add(`${method} ${target.replace(agent.userId, ':id')}`);
    const isOfAuth = target.startsWith('/internal/members');
    const serviceId = isOfAuth ? 'auth-service' : 'complaint-service';
    const acting = isOfAuth || target.endsWith('addresses') ? {} : { user: inTenant(name) };
    const claims: IdentityClaims = { kind: 'service', serviceId, ...acting };
    const body = json && JSON.stringify(json);
    const type = body === undefined ? {} : { contentType: 'application/json' };
    const signed = world.sign({ method, target, body, claims, ...type });
    return world
      .send(method, target, { ...signed, ...(body && { 'content-type': 'application/json' }) }, body)
      .expect(target.endsWith('/name') ? 204 : 200);
  };
  const call = (name: Name, method: string, target: string, body?: object) => {
    called.add(`${method} ${target.replace(agent.userId, ':id').replace(/\?.*/, '')}`);
    return world.call(inTenant(name), method, target, body && { body }).expect(200);
  };

  test('a changed profile, a member and the directory are those of the tenant', async () => {
    for (const name of names) await call(name, 'PATCH', '/v1/users/me', { display_name: `Agent of ${name}` });
    for (const [at, name] of names.entries()) {
      const reads = [
        '/v1/users/me',
        `/v1/users/${agent.userId}`,
        '/v1/users',
        '/v1/users?q=agent',
        '/v1/users?limit=1',
      ];
      for (const path of reads) {
        const { text } = await call(name, 'GET', path);
        expect([path, text]).toEqual([path, expect.stringContaining(name)]);
        expect(text).not.toContain(names[1 - at]);
        expect(text).not.toContain(tenants[names[1 - at] ?? name]);
      }
    }
  });

  test('other services read the roles, names and addresses of the tenant', async () => {
    const ids = [agent.userId];
    for (const name of names) {
      const { body } = await internal(name, `/internal/users/${agent.userId}`, undefined, 'GET');
      expect(body.role).toBe(name === 'acme' ? 'agent' : 'admin');
      const named = await internal(name, '/internal/users/names', { ids });
      expect(named.body.names).toEqual({ [agent.userId]: `Agent of ${name}` });
      const found = await internal(name, '/internal/users/addresses', { tenant_id: tenants[name], ids });
      expect(found.text).toContain(`${agent.userId}@${name}.test`);
      expect(found.text).not.toContain(name === 'acme' ? 'globex' : 'acme');
    }
  });

  test('the account pages read and change names in the tenant that they name', async () => {
    for (const name of names) {
      const member = { tenant_id: tenants[name], user_id: complainant.userId };
      await internal(name, '/internal/members/name', { ...member, display_name: `Chris of ${name}` });
    }
    for (const name of names) {
      const body = { tenant_id: tenants[name], ids: [complainant.userId] };
      const named = await internal(name, '/internal/members/names', body);
      expect(named.body.names).toEqual({ [complainant.userId]: `Chris of ${name}` });
    }
  });

  test('these are all routes', () => {
    const declared = api.endpoints.map(({ method, path }) => `${method.toUpperCase()} ${path}`);
    expect([...called].toSorted()).toEqual(declared.toSorted());
  });
});
