import { databases } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { tokenExchangeGrant } from '../src/domain/clients/client-rules.ts';
import { api } from '../src/routes/api.ts';
import { type Account, type AccountsWorld, accountsWorld, freshEmail } from './support/accounts-world.ts';
import { makeOAuthClient, scopes } from './support/clients.ts';
import { makeTenant } from './support/people.ts';
import { probedTables, probing } from './support/probed-database.ts';

type Method = Parameters<AccountsWorld['call']>[0];

/** The bodies of changes. Without them, the service would refuse a request before it looks for its subject. */
const bodies: Readonly<Record<string, object>> = {
  invite: { email: freshEmail(), role: 'agent' },
  changeMember: { role: 'complainant' },
  createClient: { name: 'x', scopes: [] },
  changeClient: { status: 'disabled' },
  rotateClientSecret: {},
};

describe.each(databases())('administrators of two tenants, on %s', (_kind, database) => {
  let world: AccountsWorld;
  const admins: Account[] = [];
  /** The values of path parameters in each tenant. */
  const ids: Record<string, string>[] = [];
  beforeAll(async () => {
    world = await accountsWorld(database, { AUTH_SCOPES: scopes });
    for (const tenant of [world.acme, await makeTenant(world.store.db, 'globex')]) {
      const admin = await world.account('admin', [tenant]);
      const member = await world.account('agent', [tenant]);
      const client = await makeOAuthClient(world, admin, { grant_types: [tokenExchangeGrant] });
      const path = `/v1/auth/tenants/${tenant.id}`;
      const invited = await world.post(`${path}/invitations`, { email: freshEmail(), role: 'agent' }, admin);
      const consent = { client_id: client.id, scopes: ['complaints.read'], expires_in: 3600 };
      const delegation = await world.post('/v1/auth/delegations', consent, admin);
      const secrets = (await world.call('GET', `${path}/clients/${client.id}`, { as: world.as(admin) })).body.secrets;
      admins.push(admin);
      ids.push({
        id: tenant.id,
        userId: member.userId,
        clientId: client.id,
        secretId: secrets[0].id,
        invitationId: invited.body.id,
        sessionId: admin.sid,
        delegationId: delegation.body.id,
      });
    }
    expect(Object.values(Object.assign({}, ...ids)).every((id) => typeof id === 'string')).toBe(true);
  });
  afterAll(() => world.close());

  const rowsOf = (tenantId: string) =>
    probing(world.store.db, async (trx) => {
      const read = probedTables.map((table) => `select '${table}' as name, to_json(t)::text as row from ${table} t`);
      const rows = await sql<{ name: string; row: string }>`${sql.raw(read.join(' union all '))} order by 1, 2`.execute(
        trx,
      );
      return rows.rows.filter(({ row }) => row.includes(tenantId));
    });

  const withIds = api.endpoints.filter(({ path }) => path.includes(':'));
  const names: [string][] = withIds.map(({ operationId }) => [operationId]);

  test.each(names)('%s reaches nothing of another tenant', async (operation) => {
    const { method, path } = withIds.find(({ operationId }) => operationId === operation) ?? {
      method: 'get',
      path: '',
    };
    const [own = {}, other = {}] = ids;
    const [admin] = admins;
    // `:id` is a tenant, except in `/sessions/:id` and `/delegations/:id`.
    const subject = /\/(session|delegation)s\/:id/.exec(path)?.[1];
    const target = (tenant: Record<string, string>, rest: Record<string, string>) =>
      path
        .replace(':id', (subject ? rest[`${subject}Id`] : tenant.id) ?? '')
        .replace(/:(\w+)/g, (_all, name: string) => rest[name] ?? '');
    const isNested = subject !== undefined || /:id.*:/.test(path);
    const targets = isNested ? [target(own, other)] : [];
    if (subject === undefined) targets.push(target(other, other), target(other, own));
    const before = await rowsOf(other.id ?? '');
    for (const each of targets) {
      const body = bodies[operation];
      const answer = await world.call(method.toUpperCase() as Method, each, {
        ...(admin && { as: world.as(admin) }),
        ...(body && { body }),
      });
      expect([each, answer.body.code]).toEqual([
        each,
        each.includes(`/tenants/${other.id}`) ? 'tenant_mismatch' : 'not_found',
      ]);
    }
    expect(await rowsOf(other.id ?? '')).toEqual(before);
  });

  test.each(['sessions', 'audit', 'delegations', 'agents', 'tenants/:id/invitations', 'tenants/:id/clients'])(
    'the list of %s shows only rows of its tenant',
    async (list) => {
      for (const [at, admin] of admins.entries()) {
        const target = `/v1/auth/${list.replace(':id', admin.tenant.id)}`;
        const { body, text } = await world.call('GET', target, { as: world.as(admin) });
        expect(body.items.length).toBeGreaterThan(0);
        for (const id of Object.values(ids[1 - at] ?? {})) expect(text).not.toContain(id);
      }
    },
  );
});
