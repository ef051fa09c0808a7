import type { IdentityClaims } from '@countersign/identity';
import { databases } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { complaintsWorld, people } from './world.ts';

const { complainant, agent, stranger } = people;

describe.each(databases())('OAuth clients on %s', (_kind, database) => {
  let world: Awaited<ReturnType<typeof complaintsWorld>>;
  let id: string;
  let foreign: string;
  beforeAll(async () => {
    world = await complaintsWorld(database);
    id = await file(complainant, 'Lamp');
    foreign = await file(stranger, 'Lamp');
  });
  afterAll(() => world.close());

  const file = async (who: typeof agent, title: string): Promise<string> =>
    (
      await world
        .call(who, 'POST', '/v1/complaints', { body: { title, description: 'Dark', category: 'light' } })
        .expect(201)
    ).body.id;
  const oauthClient = (scope: string[], tenantId = agent.tenantId as string | undefined) =>
    ({ kind: 'client', clientId: 'client-1', ...(tenantId && { tenantId }), context: { scope } }) as const;
  const actor = (person: typeof agent, scope: string[]) =>
    ({
      kind: 'user',
      ...person,
      context: { scope, act: { sub: 'client-2', iss: 'https://id.example.test' } },
    }) as const;
  const get = (claims: IdentityClaims, target: string) =>
    world.send('GET', target, world.sign({ method: 'GET', target, claims }));
  const reader = oauthClient(['complaints.read']);

  test('an OAuth client with the scope can list, search and read the complaints in its tenant', async () => {
    const duplicate = await file(complainant, 'Lamp again');
    const merge = { to: 'duplicate', duplicate_of: id, reason: 'Same' };
    await world.call(agent, 'POST', `/v1/complaints/${duplicate}/transition`, { body: merge }).expect(200);
    const { body } = await get(reader, '/v1/complaints?q=lamp&category=light').expect(200);
    expect(body.items.map((item: { id: string }) => item.id)).toEqual([duplicate, id]);
    const { body: read, headers } = await get(reader, `/v1/complaints/${duplicate}`).expect(200);
    expect(read).toMatchObject({ complainant_id: complainant.userId, complainant_name: null, duplicate_of: id });
    expect(headers.etag).toBeDefined();
    await get(reader, `/v1/complaints/${foreign}`).expect(404);
    expect((await get(reader, '/v1/complaints?mine=true').expect(200)).body.items).toEqual([]);
  });

  test('an OAuth client gets neither the name nor the contact of a person without an account', async () => {
    const reporter = { name: 'Robin Reporter', email: 'robin@example.test', phone: '+49 30 1234' };
    const body = { title: 'By phone', description: 'Dark', category: 'phone', reporter };
    const { body: filed } = await world.call(agent, 'POST', '/v1/complaints', { body }).expect(201);
    expect(filed.reporter).toEqual(reporter);
    const { body: read } = await get(reader, `/v1/complaints/${filed.id}`).expect(200);
    const { body: list } = await get(reader, '/v1/complaints?category=phone').expect(200);
    expect([read, ...list.items]).toMatchObject([{ reporter: null }, { reporter: null }]);
  });

  test('an agent that acts for a user sees what the user sees, if it has the scope', async () => {
    await file(agent, 'Filed by an agent');
    const { body } = await get(actor(complainant, ['complaints.read']), '/v1/complaints?limit=100').expect(200);
    const owners = new Set(body.items.map((item: { complainant_id: string }) => item.complainant_id));
    expect([...owners]).toEqual([complainant.userId]);
  });

  test.each<[string, () => IdentityClaims]>([
    ['an OAuth client without the scope', () => oauthClient(['users.read'])],
    ['an OAuth client with only the scope to write', () => oauthClient(['complaints.write'])],
    ['an OAuth client with the scope in another case', () => oauthClient(['Complaints.Read'])],
    ['an OAuth client without a tenant', () => oauthClient(['complaints.read'], '')],
    ['an agent without the scope', () => actor(agent, [])],
  ])('refuses %s', async (_name, caller) => {
    const before = world.transactions();
    for (const target of ['/v1/complaints', `/v1/complaints/${id}`]) {
      const { body, headers } = await get(caller(), target).expect(403);
      expect(body.code).toBe('insufficient_scope');
      expect(headers['www-authenticate']).toBe('Bearer error="insufficient_scope", scope="complaints.read"');
    }
    expect(world.transactions()).toBe(before);
  });

  test('an OAuth client cannot use any other route, whatever its role', async () => {
    const admin = { ...reader, role: 'admin' };
    for (const path of ['comments', 'history', 'attachments', 'watchers'].map((end) => `/v1/complaints/${id}/${end}`)) {
      expect((await get(admin, path).expect(403)).body.code).toBe('identity_not_allowed');
    }
    for (const end of ['export', 'events', 'statistics', 'retention']) {
      expect((await get(admin, `/v1/complaints/${end}`).expect(403)).body.code).toBe('identity_not_allowed');
    }
    const body = JSON.stringify({ title: 'a', description: 'b', category: 'c' });
    const post = { method: 'POST', target: '/v1/complaints', claims: admin, body, contentType: 'application/json' };
    const headers = { ...world.sign(post), 'content-type': 'application/json' };
    expect((await world.send('POST', '/v1/complaints', headers, body).expect(403)).body.code).toBe(
      'identity_not_allowed',
    );
  });
});
