import { databases, tablesWithoutForcedRowSecurity } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { appRole } from '../src/store/schema.ts';
import { asUser } from './gateway.ts';
import { people, usersWorld } from './world.ts';

const { agent, admin, stranger } = people;
type World = Awaited<ReturnType<typeof usersWorld>>;
const get = { method: 'GET', target: '/v1/users/me', facts: asUser(agent) };
const body = '{"display_name":"Mallory"}';
const patch = { ...get, method: 'PATCH', body, contentType: 'application/json' };
const json = { 'content-type': 'application/json' };

describe.each(databases())('trust in the gateway alone, on %s', (_kind, database) => {
  let world: World;
  beforeAll(async () => {
    world = await usersWorld(database);
  });
  afterAll(() => world.close());

  test.each<[string, (world: World) => ReturnType<World['send']>]>([
    ['no signature', ({ send }) => send('GET', '/v1/users/me', {})],
    ['no signature on a path that is not there', ({ send }) => send('GET', '/nothing', {})],
    ['no signature and a body', ({ send }) => send('PATCH', '/v1/users/me', json, body)],
    [
      'identity headers that nobody signed',
      ({ send }) =>
        send('GET', '/v1/users/me', {
          'x-identity': 'user',
          'x-user-id': admin.userId,
          'x-user-role': 'admin',
          'x-tenant-id': admin.tenantId,
        }),
    ],
    [
      'what was signed for another service',
      ({ send, sign }) => send('GET', '/v1/users/me', sign({ ...get, audience: 'complaint-service' })),
    ],
    ['another path', ({ send, sign }) => send('GET', '/v1/users', sign({ ...get, facts: asUser(admin) }))],
    ['another query', ({ send, sign }) => send('GET', '/v1/users/me?x=1', sign(get))],
    ['another method', ({ send, sign }) => send('GET', '/v1/users/me', sign({ ...get, method: 'HEAD' }))],
    [
      'another body',
      ({ send, sign }) => send('PATCH', '/v1/users/me', { ...sign(patch), ...json }, body.replace('Mallory', 'Trudy')),
    ],
    [
      'a body after a bodiless signature',
      ({ send, sign }) => send('PATCH', '/v1/users/me', { ...sign(get), ...json }, body),
    ],
    ['another user', ({ send, sign }) => send('GET', '/v1/users/me', { ...sign(get), 'x-user-id': admin.userId })],
    ['another role', ({ send, sign }) => send('GET', '/v1/users/me', { ...sign(get), 'x-user-role': 'admin' })],
    [
      'another tenant',
      ({ send, sign }) => send('GET', '/v1/users/me', { ...sign(get), 'x-tenant-id': stranger.tenantId }),
    ],
    [
      'an identity header more',
      ({ send, sign }) => send('GET', '/v1/users/me', { ...sign(get), 'x-service-id': 'complaint-service' }),
    ],
    [
      'a signature that has expired',
      ({ send, sign, clock }) =>
        send('GET', '/v1/users/me', sign({ ...get, createdSec: Math.floor(clock.nowMs() / 1000) - 36 })),
    ],
  ])('refuses %s, and no row is read', async (_what, attack) => {
    const before = world.transactions();
    const { status, headers, body: problem } = await attack(world);
    expect(status).toBe(401);
    expect(headers['x-identity-refused']).toMatch(/^[a-z_]+$/);
    expect(headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(problem).toMatchObject({ status: 401, request_id: headers['x-request-id'] });
    expect(world.transactions()).toBe(before);
  });

  test('refuses a signed request that comes twice', async () => {
    const headers = world.sign(get);
    await world.send('GET', '/v1/users/me', headers).expect(200);
    const before = world.transactions();
    const again = await world.send('GET', '/v1/users/me', headers).expect(401);
    expect(again.headers['x-identity-refused']).toBe('replayed');
    expect(world.transactions()).toBe(before);
  });

  test.each(['anonymous', 'gateway'] as const)('gives the identity %s nothing', async (kind) => {
    const before = world.transactions();
    const { body: problem } = await world
      .send('GET', '/v1/users/me', world.sign({ ...get, facts: { kind } }))
      .expect(403);
    expect(problem.code).toBe('identity_not_allowed');
    expect(world.transactions()).toBe(before);
  });

  test('answers health without a signature', async () => {
    await world.send('GET', '/healthz', {}).expect(200);
    await world.send('GET', '/readyz', {}).expect(200);
    await world.send('GET', '/metrics', {}).expect(200);
  });

  test('writes one line a request, with who it was and nothing secret', async () => {
    const from = world.log.lines().length;
    const headers = world.sign({ ...get, target: '/v1/users/me?q=%0d%0aforged' });
    await world.send('GET', '/v1/users/me?q=%0d%0aforged', headers).expect(200);
    await world.send('GET', '/v1/users/me', {}).expect(401);
    const lines = world.log.lines().slice(from);
    expect(lines).toMatchObject([
      {
        msg: 'request',
        request_id: headers['x-request-id'],
        method: 'GET',
        path: '/v1/users/me',
        status: 200,
        tenant_id: agent.tenantId,
        user_id: agent.userId,
      },
      { msg: 'request', status: 401 },
    ]);
    const text = world.log.text();
    const signature = headers.signature?.split(':')[1] ?? '';
    expect(signature).toHaveLength(88);
    expect(text).not.toContain(signature);
    expect(text).not.toContain('forged');
  });
});

describe.each(databases())('tenants on %s', (_kind, database) => {
  let world: World;
  beforeAll(async () => {
    world = await usersWorld(database);
  });
  afterAll(() => world.close());

  test('are apart in every table, for the owner too', async () => {
    const names = await world.db.transaction({ role: appRole }, async (trx) => {
      const { rows } = await sql.raw<{ name: string }>(tablesWithoutForcedRowSecurity).execute(trx);
      return rows;
    });
    expect(names).toEqual([]);
  });

  test('have policies that hold for reading and writing', async () => {
    const { rows } = await world.db.transaction({ role: appRole }, (trx) =>
      sql<{ table: string; complete: boolean }>`
        select tablename as table, bool_and(qual is not null and with_check is not null) as complete
        from pg_policies where schemaname = 'public' group by tablename`.execute(trx),
    );
    expect(rows).toEqual([{ table: 'members', complete: true }]);
  });

  test('are not told apart for nobody: without a tenant there is no row, and none can be added', async () => {
    for (const scope of [{ role: appRole }, { role: appRole, tenantId: '' }, { role: appRole, tenantId: 'x' }]) {
      const rows = await world.db.transaction(scope, (trx) => trx.selectFrom('members').selectAll().execute());
      expect(rows).toEqual([]);
    }
    const forged = world.db.transaction({ role: appRole, tenantId: stranger.tenantId }, (trx) =>
      sql`insert into members (tenant_id, user_id, role, revision, created_at, updated_at)
          values (${agent.tenantId}, 'mole', 'admin', gen_random_uuid(), now(), now())`.execute(trx),
    );
    await expect(forged).rejects.toThrow(/row-level security/);
  });

  test.each(['tenant_id', 'user_id', 'email', 'status'])('no request may change %s', async (column) => {
    const change = world.db.transaction({ role: appRole, tenantId: agent.tenantId }, (trx) =>
      sql`update members set ${sql.ref(column)} = 'inactive'`.execute(trx),
    );
    await expect(change).rejects.toThrow(/permission denied/);
  });

  test('a pooled connection leaves nothing of one to the next after an error in between', async () => {
    const pid = sql<{ pid: number }>`select pg_backend_pid() as pid`;
    let failedOn: number | undefined;
    const failing = world.db.transaction({ role: appRole, tenantId: agent.tenantId }, async (trx) => {
      failedOn = (await pid.execute(trx)).rows[0]?.pid;
      await trx.updateTable('members').set({ phone: '000' }).execute();
      throw new Error('in the middle');
    });
    await expect(failing).rejects.toThrow('in the middle');
    const after = await world.db.transaction({ role: appRole }, async (trx) => ({
      pid: (await pid.execute(trx)).rows[0]?.pid,
      tenant: (await sql<{ tenant: string }>`select current_setting('app.tenant_id') as tenant`.execute(trx)).rows,
      rows: await trx.selectFrom('members').selectAll().execute(),
    }));
    expect(after).toEqual({ pid: failedOn, tenant: [{ tenant: '' }], rows: [] });
    const { body: mine } = await world.call(agent, 'GET', '/v1/users/me').expect(200);
    expect(mine.phone).toBeNull();
  });
});
