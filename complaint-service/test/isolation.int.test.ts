import { databases, tablesWithoutForcedRowSecurity } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { appRole } from '../src/store/roles.ts';
import { complaintsWorld, people } from './world.ts';

const { complainant, neighbour, agent, admin, stranger, strangerComplainant } = people;

describe.each(databases())('tenants and complainants on %s', (_kind, database) => {
  let world: Awaited<ReturnType<typeof complaintsWorld>>;
  let id: string;
  beforeAll(async () => {
    world = await complaintsWorld(database);
    const body = { title: 'Lamp', description: 'Dark', category: 'light' };
    id = (await world.call(complainant, 'POST', '/v1/complaints', { body }).expect(201)).body.id;
  });
  afterAll(() => world.close());

  const calls: [string, string, string, unknown][] = [
    ['read', 'GET', '', undefined],
    ['read the comments of', 'GET', '/comments', undefined],
    ['read the history of', 'GET', '/history', undefined],
    ['change', 'PATCH', '', { title: 'Mine' }],
    ['move', 'POST', '/transition', { to: 'in_progress' }],
    ['close', 'POST', '/transition', { to: 'closed' }],
    ['comment on', 'POST', '/comments', { body: 'Hello' }],
  ];

  describe.each([
    ['an admin of another tenant', stranger],
    ['the same person in another tenant', strangerComplainant],
    ['another complainant', neighbour],
  ])('%s', (_who, who) => {
    test.each(calls)(
      'a request to %s a complaint gets 404 as for an unknown id, and writes nothing',
      async (_what, method, path, body) => {
        const before = await world.rows();
        const options = body === undefined ? {} : { body };
        const foreign = await world.call(who, method, `/v1/complaints/${id}${path}`, options).expect(404);
        const none = await world
          .call(who, method, `/v1/complaints/0197c2a0-0000-7000-8000-000000000000${path}`, options)
          .expect(404);
        const anonymous = { request_id: '', instance: '' };
        expect({ ...foreign.body, ...anonymous }).toEqual({ ...none.body, ...anonymous });
        expect(await world.rows()).toEqual(before);
      },
    );
  });

  test('an admin of another tenant cannot assign a complaint', async () => {
    const body = { assignee_id: stranger.userId };
    await world.call(stranger, 'POST', `/v1/complaints/${id}/assign`, { body }).expect(404);
  });

  test.each(['1', 'me', 'a%00b', "'%20or%20true--", '0197c2a0-0000-7000-8000-00000000000', 'x'.repeat(2_000)])(
    'an invalid id gets 404: %s',
    async (no) => {
      await world.call(admin, 'GET', `/v1/complaints/${no}`).expect(404);
      await world.call(admin, 'PATCH', `/v1/complaints/${no}`, { body: {} }).expect(404);
    },
  );

  test('an unknown role is refused', async () => {
    const before = world.transactions();
    const auditor = { ...agent, role: 'auditor' };
    const { body } = await world.call(auditor, 'GET', '/v1/complaints').expect(403);
    expect(body.code).toBe('insufficient_role');
    expect(world.transactions()).toBe(before);
  });

  test('row-level security applies to every role in each table with tenant data', async () => {
    const rows = await world.db.transaction({ role: appRole }, async (trx) => ({
      unprotected: (await sql.raw(tablesWithoutForcedRowSecurity).execute(trx)).rows,
      policies: (
        await sql<{ table: string; complete: boolean }>`
          select tablename as table, bool_and(qual is not null and with_check is not null) as complete
          from pg_policies where schemaname = 'public' and permissive = 'PERMISSIVE'
          group by tablename order by tablename`.execute(trx)
      ).rows,
    }));
    expect(rows.unprotected).toEqual([]);
    expect(rows.policies).not.toEqual([]);
    expect(rows.policies.filter(({ complete }) => !complete)).toEqual([]);
  });

  test.each([
    ['move a complaint to another tenant', `update complaints set tenant_id = 'x'`],
    ['give a complaint to another complainant', `update complaints set complainant_id = 'x'`],
    ['delete a complaint', `delete from complaints`],
    ['change a comment', `update comments set body = 'x'`],
    ['delete a comment', `delete from comments`],
    ['rewrite history', `update history set actor_id = 'x'`],
    ['delete history', `delete from history`],
  ])('no request can %s', async (_what, statement) => {
    const change = world.as(agent, (trx) => sql.raw(statement).execute(trx));
    await expect(change).rejects.toThrow(/permission denied/);
  });

  test('a pooled connection keeps no tenant after an error', async () => {
    const pid = sql<{ pid: number }>`select pg_backend_pid() as pid`;
    const before = await world.rows();
    let failedOn: number | undefined;
    const failing = world.as(agent, async (trx) => {
      failedOn = (await pid.execute(trx)).rows[0]?.pid;
      await trx.updateTable('complaints').set({ status: 'closed' }).execute();
      throw new Error('in the middle');
    });
    await expect(failing).rejects.toThrow('in the middle');
    const after = await world.db.transaction({ role: appRole }, async (trx) => ({
      pid: (await pid.execute(trx)).rows[0]?.pid,
      tenant: (
        await sql`select current_setting('app.tenant_id') as tenant, current_setting('app.user_id') as user,
                     current_setting('app.role') as role`.execute(trx)
      ).rows,
      rows: await trx.selectFrom('complaints').selectAll().execute(),
    }));
    expect(after).toEqual({ pid: failedOn, tenant: [{ tenant: '', user: '', role: '' }], rows: [] });
    const { body } = await world.call(stranger, 'GET', '/v1/complaints').expect(200);
    expect(body.items).toEqual([]);
    expect(await world.rows()).toEqual(before);
  });

  test('a change and its history commit together or not at all, and an error reveals no details', async () => {
    const { body } = await world.call(agent, 'GET', `/v1/complaints/${id}/history`).expect(200);
    const before = await world.rows();
    world.nextIds(body.items[0].id); // The id is taken, so the history row fails after the complaint was changed.
    const failed = await world
      .call(agent, 'POST', `/v1/complaints/${id}/transition`, { body: { to: 'in_progress' } })
      .expect(500);
    world.nextIds(undefined);
    expect(failed.body).toEqual({
      type: 'urn:countersign:error:internal_error',
      title: 'Something went wrong on our side.',
      status: 500,
      instance: `/v1/complaints/${id}/transition`,
      code: 'internal_error',
      request_id: failed.headers['x-request-id'],
    });
    expect(await world.rows()).toEqual(before);
  });
});
