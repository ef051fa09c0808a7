import { databases, type ThrowAway, tablesWithoutForcedRowSecurity } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import type { LoginParts } from '../src/flows/log-in.ts';
import { roles } from '../src/store/roles.ts';
import type { AuthSchema } from '../src/store/schema.ts';
import { grantFor, loginParts } from './support/flows.ts';
import { makePerson, makeTenant, type Person, type Tenant } from './support/people.ts';
import { openProbed } from './support/probed-database.ts';

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

  test('is forced on every table with a tenant in it', async () => {
    const { rows } = await store.db.transaction({ role: roles.feed }, (trx) =>
      sql.raw(tablesWithoutForcedRowSecurity).execute(trx),
    );
    expect(rows).toEqual([]);
  });

  test.each(['sessions', 'memberships', 'audit_log'])(
    'shows a tenant its own %s alone, and nothing to nobody',
    async (table) => {
      expect(await count(roles.app, table, { tenantId: acme.id })).toBe(1);
      expect(await count(roles.app, table, { tenantId: '' })).toBe(0);
      expect(await count(roles.app, table, { tenantId: "x' or true --" })).toBe(0);
      expect(await count(roles.app, table)).toBe(0);
    },
  );

  test('shows a login one person’s credential, and to nobody any', async () => {
    const rows = (scope: { userId?: string }) =>
      store.db.transaction({ role: roles.login, ...scope }, (trx) =>
        trx.selectFrom('credentials').selectAll().execute(),
      );
    expect(await rows({ userId: ann.userId })).toHaveLength(1);
    expect(await rows({})).toEqual([]);
  });

  test.each<[string, string, string]>([
    ['the tenant role reads a hash', roles.app, 'select hash from credentials'],
    ['the tenant role reads keys', roles.app, 'select * from signing_keys'],
    ['the login role reads sessions', roles.login, 'select * from sessions'],
    ['the login role reads keys', roles.login, 'select * from signing_keys'],
    ['the feed reads sessions', roles.feed, 'select * from sessions'],
    ['the feed writes', roles.feed, 'delete from revocations'],
    ['anybody changes the audit log', roles.app, `update audit_log set action = 'x'`],
    ['anybody shortens the audit log', roles.self, 'delete from audit_log'],
    ['the keys role reads people', roles.keys, 'select * from users'],
    ['the tenant role deletes a session', roles.app, 'delete from sessions'],
  ])('refuses that %s', async (_name, role, statement) => {
    const tried = store.db.transaction({ role, tenantId: acme.id, userId: ann.userId }, (trx) =>
      sql.raw(statement).execute(trx),
    );
    await expect(tried).rejects.toThrow(/permission denied/);
  });

  test.each<[string, string, string]>([
    ['a right to lock is none to change', roles.app, `update users set status = 'disabled'`],
    ['nor to change a membership', roles.app, `update memberships set status = 'disabled'`],
    ['nobody revives a session', roles.self, `update sessions set revoked_at = null, revoked_reason = null`],
  ])('%s', async (_name, role, statement) => {
    const tried = store.db.transaction({ role, tenantId: acme.id, userId: ann.userId }, (trx) =>
      sql.raw(statement).execute(trx),
    );
    await expect(tried).rejects.toThrow(/row-level security/);
  });

  test('refuses a revocation of another tenant or person', async () => {
    const insert = (role: string) =>
      store.db.transaction({ role, tenantId: acme.id, userId: ann.userId }, (trx) =>
        trx
          .insertInto('revocations')
          .values({
            kind: 'session',
            sid: 's',
            user_id: 'somebody',
            tenant_id: globex.id,
            not_before: new Date(),
            expires_at: new Date(),
          })
          .execute(),
      );
    await expect(insert(roles.app)).rejects.toThrow(/row-level security/);
    await expect(insert(roles.self)).rejects.toThrow(/row-level security/);
  });
});
