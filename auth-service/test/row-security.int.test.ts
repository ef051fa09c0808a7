import { createHash } from 'node:crypto';
import { remove, rowsWith, update } from '@countersign/database';
import { databases, type ThrowAway, tablesWithoutForcedRowSecurity } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import type { LoginParts } from '../src/flows/sessions/log-in.ts';
import { insertOAuthClient, insertSecret, useAssertion } from '../src/store/clients/clients.ts';
import { insertDelegation } from '../src/store/clients/delegations.ts';
import type { AuthSchema } from '../src/store/schema.ts';
import { appendRevocations } from '../src/store/sessions/revocations.ts';
import { insertInvitation } from '../src/store/tenants/invitations.ts';
import { becomeOAuthClient, roles } from '../src/store/transaction.ts';
import { removeExpired } from '../src/store/upkeep.ts';
import { grantFor, loginParts } from './support/flows.ts';
import { makePerson, makeTenant, type Person, type Tenant } from './support/people.ts';
import { openProbed, probing } from './support/probed-database.ts';

describe.each(databases())('row-level security on %s', (_, database) => {
  let store: ThrowAway<AuthSchema>;
  let parts: LoginParts;
  let acme: Tenant;
  let globex: Tenant;
  let ann: Person;
  beforeAll(async () => {
    store = await openProbed(database);
    parts = await loginParts(store.db);
    acme = await makeTenant(store.db, 'acme');
    globex = await makeTenant(store.db, 'globex');
    ann = await makePerson(store.db, parts.passwords, [acme]);
    await grantFor(parts, ann, acme);
    await grantFor(parts, await makePerson(store.db, parts.passwords, [globex]), globex);
  });
  afterAll(() => store.close());

  const count = (role: string, table: string, scope: { tenantId?: string; userId?: string } = {}) =>
    store.db.transaction({ role, ...scope }, async (trx) => {
      const { rows } = await sql<{ n: number }>`select count(*)::int as n from ${sql.table(table)}`.execute(trx);
      return rows[0]?.n;
    });

  test('every table with tenant data forces row-level security', async () => {
    const { rows } = await store.db.transaction({ role: roles.feed }, (trx) =>
      sql.raw(tablesWithoutForcedRowSecurity).execute(trx),
    );
    expect(rows).toEqual([]);
  });

  test('matches, changes and deletes no row by an undefined value', async () => {
    const none = { user_id: undefined as unknown as string };
    await store.db.transaction({ role: roles.app, tenantId: acme.id }, async (trx) => {
      expect(await rowsWith(trx, 'sessions', {}).select('id').execute()).toHaveLength(1);
      expect(await rowsWith(trx, 'sessions', none).select('id').execute()).toEqual([]);
      expect(await update(trx, 'sessions', none, { ip: 'x' })).toBe(false);
    });
    await store.db.transaction({ role: roles.self, userId: ann.userId }, async (trx) => {
      expect(await remove(trx, 'recovery_codes', none)).toBe(false);
    });
  });

  test.each(['sessions', 'memberships', 'audit_log'])(
    'shows a tenant only its own %s, and no rows without a tenant',
    async (table) => {
      expect(await count(roles.app, table, { tenantId: acme.id })).toBe(1);
      expect(await count(roles.app, table, { tenantId: '' })).toBe(0);
      expect(await count(roles.app, table, { tenantId: "x' or true --" })).toBe(0);
      expect(await count(roles.app, table)).toBe(0);
    },
  );

  test.each(['clients', 'client_secrets'])(
    'shows an OAuth client and a tenant only their own %s, and no rows without either',
    async (table) => {
      const [first, second] = ['a', 'b'].map((one) => `client-01936f00-0000-7000-8000-00000000000${one}`);
      for (const [id, tenant] of [
        [first, acme],
        [second, globex],
      ] as const) {
        await store.db.transaction({ role: roles.accounts, tenantId: tenant.id }, async (trx) => {
          const oauthClient = {
            ...{ id: `${id}`, tenant_id: tenant.id, name: 'x', scopes: [], created_by: null, jwks: null },
            grant_types: ['client_credentials' as const],
          };
          const made = await insertOAuthClient(trx, oauthClient);
          if (made) await insertSecret(trx, { tenantId: tenant.id, clientId: oauthClient.id, hash: Buffer.alloc(32) });
        });
      }
      for (const role of [roles.accounts, roles.app]) {
        const scoped = (scope: { tenantId?: string }) =>
          store.db.transaction({ role, ...scope }, (trx) =>
            trx
              .selectFrom(table as 'clients')
              .select('id')
              .execute(),
          );
        expect(await scoped({ tenantId: acme.id })).toHaveLength(1);
        for (const scope of [{ tenantId: '' }, { tenantId: "x' or true --" }, {}])
          expect(await scoped(scope)).toEqual([]);
      }
      const as = (id: string | undefined) =>
        store.db.transaction({ role: roles.clients, tenantId: acme.id }, async (trx) => {
          if (id !== undefined) await becomeOAuthClient(trx, id);
          return trx
            .selectFrom(table as 'clients')
            .select('id')
            .execute();
        });
      expect(await as(first)).toHaveLength(1);
      for (const id of ['', 'client-x', undefined]) expect(await as(id)).toEqual([]);
    },
  );

  test('shows delegations only to their tenant and user, who can withdraw but not revive them', async () => {
    const clientId = 'client-01936f00-0000-7000-8000-00000000000c';
    const bob = await makePerson(store.db, parts.passwords, [globex]);
    for (const [id, tenant, person] of [
      ['d-acme', acme, ann],
      ['d-globex', globex, bob],
    ] as const) {
      const oauthClient = { id: clientId.replace(/c$/, tenant === acme ? 'd' : 'e'), tenant_id: tenant.id, name: 'x' };
      const { userId } = person;
      await store.db.transaction({ role: roles.accounts, tenantId: tenant.id }, (trx) =>
        insertOAuthClient(trx, { ...oauthClient, scopes: [], created_by: null, jwks: null, grant_types: [] }),
      );
      await store.db.transaction({ role: roles.app, tenantId: tenant.id, userId }, (trx) =>
        insertDelegation(trx, {
          ...{ id, tenant_id: tenant.id, user_id: userId, client_id: oauthClient.id, session_id: 's' },
          ...{ scopes: ['a'], lifetimeSec: 60 },
          token_hash: createHash('sha256').update(id).digest(),
        }),
      );
    }
    for (const userId of [bob.userId, '', undefined])
      await expect(
        store.db.transaction({ role: roles.app, tenantId: acme.id, ...(userId !== undefined && { userId }) }, (trx) =>
          insertDelegation(trx, {
            ...{ id: 'd-other', tenant_id: acme.id, user_id: ann.userId, client_id: clientId.replace(/c$/, 'd') },
            ...{ session_id: 's', scopes: ['a'], lifetimeSec: 60, token_hash: Buffer.alloc(32) },
          }),
        ),
      ).rejects.toThrow(/row-level security/);
    const ids = (role: string, scope: { tenantId?: string; userId?: string }) =>
      store.db.transaction({ role, ...scope }, async (trx) =>
        (await trx.selectFrom('delegations').select('id').execute()).map(({ id }) => id),
      );
    expect(await ids(roles.app, { tenantId: acme.id })).toEqual(['d-acme']);
    for (const scope of [{ tenantId: '' }, { tenantId: "x' or true --" }, {}])
      expect(await ids(roles.app, scope)).toEqual([]);
    expect(await ids(roles.self, { userId: ann.userId })).toEqual(['d-acme']);
    for (const scope of [{ userId: '' }, {}, { tenantId: acme.id }]) expect(await ids(roles.self, scope)).toEqual([]);
    const set = (value: string, userId: string) =>
      store.db.transaction({ role: roles.self, userId }, (trx) =>
        sql.raw(`update delegations set revoked_at = ${value} returning id`).execute(trx),
      );
    expect((await set('now()', bob.userId)).rows).toEqual([{ id: 'd-globex' }]);
    await expect(set('null', bob.userId)).rejects.toThrow(/row-level security/);
    expect(await ids(roles.app, { tenantId: acme.id })).toEqual(['d-acme']);
  });

  test('lets only the current OAuth client mark assertions as used, and shows them only to the upkeep role', async () => {
    const use = (id: string | undefined, hash: number) =>
      store.db.transaction({ role: roles.clients }, async (trx) => {
        if (id !== undefined) await becomeOAuthClient(trx, id);
        const assertion = { hash: Buffer.alloc(32, hash), expiresAt: new Date() };
        return useAssertion(trx, assertion, { tenantId: acme.id, clientId: 'client-a' });
      });
    expect([await use('client-a', 1), await use('client-a', 1)]).toEqual([true, false]);
    for (const id of ['client-b', '', undefined]) await expect(use(id, 2)).rejects.toThrow(/row-level security/);
    for (const role of [roles.clients, roles.app, roles.accounts])
      await expect(count(role, 'client_assertions', { tenantId: acme.id })).rejects.toThrow(/permission denied/);
  });

  test('shows a login one person’s credential, and none without a person', async () => {
    const rows = (scope: { userId?: string }) =>
      store.db.transaction({ role: roles.login, ...scope }, (trx) =>
        trx.selectFrom('credentials').selectAll().execute(),
      );
    expect(await rows({ userId: ann.userId })).toHaveLength(1);
    expect(await rows({})).toEqual([]);
  });

  test.each<[string, string, string]>([
    ['the tenant role reads a hash', roles.app, 'select hash from credentials'],
    ['the tenant role reads a client secret', roles.app, 'select hash from client_secrets'],
    ['an administrator reads a client secret', roles.accounts, 'select hash from client_secrets'],
    ['the tenant role changes a client', roles.app, `update clients set scopes = '{a}'`],
    ['a client changes itself', roles.clients, `update clients set scopes = '{a}'`],
    ['the self role reads a subject token', roles.self, 'select token_hash from delegations'],
    ['the tenant role extends a delegation', roles.app, `update delegations set expires_at = now()`],
    ['a client reads people', roles.clients, 'select * from users'],
    ['the tenant role reads keys', roles.app, 'select * from signing_keys'],
    ['the login role reads sessions', roles.login, 'select * from sessions'],
    ['the login role reads keys', roles.login, 'select * from signing_keys'],
    ['the feed reads sessions', roles.feed, 'select * from sessions'],
    ['the feed writes', roles.feed, 'delete from revocations'],
    ['the tenant role changes the audit log', roles.app, `update audit_log set action = 'x'`],
    ['the self role shortens the audit log', roles.self, 'delete from audit_log'],
    ['the keys role reads people', roles.keys, 'select * from users'],
    ['the tenant role deletes a session', roles.app, 'delete from sessions'],
    ['the accounts role reads the outbox', roles.accounts, 'select * from outbox'],
    ['the accounts role reads sessions', roles.accounts, 'select * from sessions'],
    ['the accounts role disables a person', roles.accounts, `update users set status = 'disabled'`],
    ['the accounts role renames a person', roles.accounts, `update users set email_ci = 'x'`],
    ['the accounts role creates a token', roles.accounts, `insert into mailed_tokens (purpose) values ('invitation')`],
    ['the courier changes a registration', roles.courier, `update registrations set email_ci = 'x'`],
    ['the courier reads credentials', roles.courier, 'select * from credentials'],
    ['the courier reads tokens', roles.courier, 'select * from mailed_tokens'],
    ['the courier reads keys', roles.courier, 'select * from signing_keys'],
    ['the courier creates a member', roles.courier, `insert into memberships values ('a', 'b', 'admin')`],
    ['the courier accepts an invitation', roles.courier, 'update invitations set accepted_at = now()'],
    ['the courier changes a queued delivery', roles.courier, `update outbox set payload = '{}'`],
    ['the self role changes a membership', roles.self, `update memberships set role = 'admin'`],
    ['the login role reads invitations', roles.login, 'select * from invitations'],
    ['an operator assigns a role', roles.operator, `update memberships set role = 'admin'`],
    ['an operator creates a member', roles.operator, `insert into memberships values ('a', 'b', 'admin')`],
    ['an operator accepts an invitation', roles.operator, 'update invitations set accepted_at = now()'],
    ['an operator reads queued deliveries', roles.operator, 'select * from outbox'],
    ['the tenant role reads registrations', roles.app, 'select * from registrations'],
  ])('permission is denied when %s', async (_name, role, statement) => {
    const tried = store.db.transaction({ role, tenantId: acme.id, userId: ann.userId }, (trx) =>
      sql.raw(statement).execute(trx),
    );
    await expect(tried).rejects.toThrow(/permission denied/);
  });

  test.each<[string, string, string]>([
    ['the tenant role can lock a person, but not change them', roles.app, `update users set status = 'disabled'`],
    ['the tenant role cannot change a membership', roles.app, `update memberships set status = 'disabled'`],
    [
      'an operator cannot queue an email',
      roles.operator,
      `insert into outbox (topic, ordering_key, payload) values ('mail', 'k', '{}')`,
    ],
    [
      'the self role cannot revive a session',
      roles.self,
      `update sessions set revoked_at = null, revoked_reason = null`,
    ],
  ])('%s', async (_name, role, statement) => {
    const tried = store.db.transaction({ role, tenantId: acme.id, userId: ann.userId }, (trx) =>
      sql.raw(statement).execute(trx),
    );
    await expect(tried).rejects.toThrow(/row-level security/);
  });

  test('shows the accounts role no invitation and no person of another tenant', async () => {
    const bob = await makePerson(store.db, parts.passwords, [globex]);
    await store.db.transaction({ role: roles.accounts, tenantId: globex.id }, (trx) =>
      insertInvitation(
        trx,
        { id: 'i', tenant_id: globex.id, email_ci: 'x@new.test', role: 'agent', invited_by: bob.userId },
        60,
      ),
    );
    expect(await count(roles.accounts, 'invitations', { tenantId: globex.id })).toBe(1);
    expect(await count(roles.accounts, 'invitations', { tenantId: acme.id })).toBe(0);
    expect(await count(roles.accounts, 'invitations')).toBe(0);
    const people = await store.db.transaction({ role: roles.accounts, tenantId: acme.id }, (trx) =>
      trx.selectFrom('users').select('id').execute(),
    );
    expect(people).toEqual([{ id: ann.userId }]);
  });

  test('lets an operator withdraw an invitation, but not reopen it', async () => {
    const setRevoked = (to: string) =>
      store.db.transaction({ role: roles.operator }, (trx) =>
        sql.raw(`update invitations set revoked_at = ${to} where tenant_id = '${globex.id}' returning id`).execute(trx),
      );
    expect((await setRevoked('now()')).rows).toHaveLength(1);
    await expect(setRevoked('null')).rejects.toThrow(/row-level security/);
  });

  test('refuses an invitation to a tenant other than the current one', async () => {
    const foreign = store.db.transaction({ role: roles.accounts, tenantId: acme.id }, (trx) =>
      insertInvitation(
        trx,
        { id: 'j', tenant_id: globex.id, email_ci: 'y@new.test', role: 'admin', invited_by: ann.userId },
        60,
      ),
    );
    await expect(foreign).rejects.toThrow(/row-level security/);
  });

  test('lets upkeep remove only expired rows', async () => {
    await probing(store.db, async (trx) => {
      for (const [id, expires_at] of [
        ['old', new Date(Date.now() - 1_000)],
        ['new', new Date(Date.now() + 60_000)],
      ] as const) {
        await trx.insertInto('registrations').values({ id, email_ci: id, expires_at }).execute();
        await trx
          .insertInto('mailed_tokens')
          .values({
            hash: createHash('sha256').update(id).digest(),
            purpose: 'password_reset',
            user_id: ann.userId,
            expires_at,
          })
          .execute();
      }
      for (const parked_at of [null, new Date(), new Date(Date.now() - 31 * 24 * 3_600_000)]) {
        await trx.insertInto('outbox').values({ topic: 'mail', ordering_key: 'k', payload: '{}', parked_at }).execute();
      }
    });
    await removeExpired(store.db);
    const left = await probing(store.db, async (trx) => ({
      registrations: (await trx.selectFrom('registrations').select('id').execute()).map(({ id }) => id),
      tokens: (await trx.selectFrom('mailed_tokens').select('hash').execute()).length,
      outbox: (await trx.selectFrom('outbox').select('seq').execute()).length,
    }));
    expect(left).toEqual({ registrations: ['new'], tokens: 1, outbox: 2 });
  });

  test('refuses a revocation for another tenant or person', async () => {
    const insert = (role: string) =>
      store.db.transaction({ role, tenantId: acme.id, userId: ann.userId }, (trx) =>
        trx
          .insertInto('revocations')
          .values({
            kind: 'session',
            sid: 's',
            user_id: 'someone',
            tenant_id: globex.id,
            not_before: new Date(),
            expires_at: new Date(),
          })
          .execute(),
      );
    const ofOAuthClient = store.db.transaction({ role: roles.app, tenantId: acme.id }, (trx) =>
      appendRevocations(trx, [{ kind: 'client', client_id: 'c', tenant_id: globex.id }]),
    );
    await expect(ofOAuthClient).rejects.toThrow(/row-level security/);
    await expect(insert(roles.app)).rejects.toThrow(/row-level security/);
    await expect(insert(roles.self)).rejects.toThrow(/row-level security/);
  });
});
