import type { IdentityClaims } from '@countersign/identity';
import { databases, people } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { usersWorld } from './world.ts';

const { complainant, agent, admin, stranger } = people;
type Item = { id: string; tenant_id: string; display_name: string | null };

describe.each(databases())('the directory on %s', (_kind, database) => {
  let world: Awaited<ReturnType<typeof usersWorld>>;
  beforeAll(async () => {
    world = await usersWorld(database);
  });
  afterAll(() => world.close());
  const list = async (query = '', who = agent) => {
    const { body } = await world.call(who, 'GET', `/v1/users${query}`).expect(200);
    return body as { items: Item[]; next_cursor: string | null };
  };
  const names = async (query: string, who = agent) => (await list(query, who)).items.map((item) => item.display_name);
  const join = (userId: string, displayName: string) =>
    world.call({ ...agent, userId }, 'PATCH', '/v1/users/me', { body: { display_name: displayName } }).expect(200);

  test('shows a tenant its own members, ordered by name', async () => {
    expect(await names('')).toEqual(['Admin Smith', 'Agent Smith', 'Complainant Smith']);
    expect(await names('', admin)).toEqual(await names(''));
    expect(await names('', stranger)).toEqual(['Stranger Smith']);
  });

  describe('for OAuth clients and agents', () => {
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

    test('shows the tenant to an OAuth client with the scope, and to an agent for a user with a role', async () => {
      for (const caller of [oauthClient(['users.read']), actor(agent, ['complaints.read', 'users.read'])]) {
        const { body } = await get(caller, '/v1/users').expect(200);
        expect(body.items).toHaveLength(3);
      }
    });

    test.each([
      ['an OAuth client without the scope', () => oauthClient(['complaints.read']), 'insufficient_scope'],
      ['an OAuth client with the scope in another case', () => oauthClient(['Users.Read']), 'insufficient_scope'],
      ['an OAuth client without a tenant', () => oauthClient(['users.read'], ''), 'insufficient_scope'],
      ['an agent without the scope', () => actor(agent, []), 'insufficient_scope'],
      ['an agent for a user without a role', () => actor(complainant, ['users.read']), 'insufficient_role'],
    ])('refuses %s', async (_name, caller, code) => {
      const { body, headers } = await get(caller(), '/v1/users').expect(403);
      expect(body.code).toBe(code);
      if (code === 'insufficient_scope')
        expect(headers['www-authenticate']).toBe('Bearer error="insufficient_scope", scope="users.read"');
    });

    test('refuses an OAuth client on every other route', async () => {
      for (const path of ['/v1/users/me', `/v1/users/${agent.userId}`]) {
        const { body } = await get(oauthClient(['users.read']), path).expect(403);
        expect(body.code).toBe('identity_not_allowed');
      }
    });
  });

  test('finds members by role, and by part of a name or an email address', async () => {
    expect(await names('?role=admin')).toEqual(['Admin Smith']);
    expect(await names('?role=unknown')).toEqual([]);
    expect(await names('?q=AGENT%20sm')).toEqual(['Agent Smith']);
    expect(await names('?q=complainant@')).toEqual(['Complainant Smith']);
    expect(await names('?q=smith&role=agent')).toEqual(['Agent Smith']);
    expect(await names('?q=%25')).toEqual([]);
    expect(await names('?q=_gent')).toEqual([]);
    expect(await names('?q=%5C')).toEqual([]);
    expect(await names('?q=%27%20or%20true--')).toEqual([]);
  });

  test('lists each member once across pages, while others join', async () => {
    for (let n = 0; n < 5; n += 1) await join(`twin-${n}`, 'Émile Twin');
    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const page: Awaited<ReturnType<typeof list>> = await list(
        `?limit=2${cursor && `&cursor=${encodeURIComponent(cursor)}`}`,
      );
      expect(page.items.length).toBeLessThanOrEqual(2);
      seen.push(...page.items.map((item) => item.id));
      cursor = page.next_cursor;
      await join(`early-${seen.length}`, 'Aaron Early');
    }
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toHaveLength(3 + 5);
  });

  test.each([
    ['tenant_id', `?tenant_id=${stranger.tenantId}`],
    ['rol', '?rol=admin'],
    ['__proto__', '?__proto__=x'],
    ['cursor', '?cursor=nonsense'],
    ['cursor', '?cursor='],
    ['limit', '?limit=0'],
    ['limit', '?limit=101'],
    ['limit', '?limit=-1'],
    ['limit', '?limit=1e1'],
    ['limit', '?limit='],
    ['limit', '?limit=1&limit=2'],
    ['role', '?role=Admin%00'],
    ['q', '?q='],
    ['q', '?q=%00'],
    ['q', '?q=a&q=b'],
  ])('reports %s as invalid in %s', async (field, query) => {
    const { body } = await world.call(agent, 'GET', `/v1/users${query}`).expect(422);
    expect(body).toMatchObject({ code: 'validation_failed', errors: [{ path: field }] });
  });

  test('refuses complainants, who can read only themselves', async () => {
    const before = world.transactions();
    const { body } = await world.call(complainant, 'GET', '/v1/users').expect(403);
    expect(body.code).toBe('insufficient_role');
    await world.call(complainant, 'GET', `/v1/users/${agent.userId}`).expect(404);
    expect(world.transactions()).toBe(before);
    await world.call(complainant, 'GET', `/v1/users/${complainant.userId}`).expect(200);
  });

  test('gives the same response for another tenant’s user, an unknown user and an invalid id', async () => {
    const answers = [];
    for (const id of [stranger.userId, 'unknown', 'a%00b', 'x'.repeat(129), '%F0%9F%98%80', 'a%20b']) {
      const { body } = await world.call(admin, 'GET', `/v1/users/${id}`).expect(404);
      answers.push({ ...body, request_id: '', instance: '' });
    }
    for (const answer of answers) expect(answer).toEqual(answers[0]);
  });

  test('answers 404 to unknown paths and methods', async () => {
    await world.call(admin, 'GET', '/v1/users/').expect(404);
    await world.call(admin, 'GET', '/V1/users').expect(404);
    await world.call(admin, 'DELETE', `/v1/users/${agent.userId}`).expect(404);
    await world.call(admin, 'GET', '/').expect(404);
  });
});
