import { databases, people, tablesWithoutForcedRowSecurity } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { applyMembershipUpdate } from '../src/store/members.ts';
import { appRole, identityRole, inTenant, membershipRole, type Trx } from '../src/store/schema.ts';
import { usersWorld } from './world.ts';

const { agent, stranger } = people;

describe.each(databases())('tenants on %s', (_kind, database) => {
  let world: Awaited<ReturnType<typeof usersWorld>>;
  beforeAll(async () => {
    world = await usersWorld(database);
  });
  afterAll(() => world.close());

  test('tenants are separated in every table, even for the owner', async () => {
    const names = await world.db.transaction({ role: appRole }, async (trx) => {
      const { rows } = await sql.raw<{ name: string }>(tablesWithoutForcedRowSecurity).execute(trx);
      return rows;
    });
    expect(names).toEqual([]);
  });

  test('policies apply to reading and writing', async () => {
    const { rows } = await world.db.transaction({ role: appRole }, (trx) =>
      sql<{ table: string; complete: boolean }>`
        select tablename as table, bool_and(qual is not null and with_check is not null) as complete
        from pg_policies where schemaname = 'public' group by tablename`.execute(trx),
    );
    expect(rows).toEqual([{ table: 'members', complete: true }]);
  });

  test('rows are hidden from a transaction without a tenant, which cannot add rows either', async () => {
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

  test.each(['tenant_id', 'user_id', 'email', 'status', 'role', 'sequence'])(
    'no request can change %s',
    async (column) => {
      const change = world.db.transaction({ role: appRole, tenantId: agent.tenantId }, (trx) =>
        sql`update members set ${sql.ref(column)} = ${sql.ref(column)}`.execute(trx),
      );
      await expect(change).rejects.toThrow(/permission denied/);
    },
  );

  test('the role that copies token roles neither sees nor changes members that have an update', async () => {
    const known = { ...people.admin, userId: 'known-by-update' };
    const membership = {
      tenant_id: known.tenantId,
      user_id: known.userId,
      email: '',
      role: 'agent',
      status: 'active',
    } as const;
    const { tenantId } = known;
    const apply = (trx: Trx) => applyMembershipUpdate(trx, { ...membership, sequence: 1 });
    await inTenant(world.db, tenantId, apply, membershipRole);
    const rows = await world.db.transaction({ role: identityRole, tenantId }, (trx) =>
      trx.updateTable('members').set({ role: 'owner' }).where('user_id', '=', known.userId).returning('role').execute(),
    );
    expect(rows).toEqual([]);
    const more = world.db.transaction({ role: identityRole, tenantId }, (trx) =>
      trx.updateTable('members').set({ sequence: 0 }).execute(),
    );
    await expect(more).rejects.toThrow(/permission denied/);
  });

  test('a pooled connection keeps no tenant after an error', async () => {
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
