import { databases } from '@countersign/testing';
import { expect, test } from '@jest/globals';
import { removeExpired } from '../src/store/upkeep.ts';
import { makePerson, makeTenant, testPasswords } from './support/people.ts';
import { openProbed, probing } from './support/probed-database.ts';

test.each(databases())(
  'upkeep on %s deletes expired secrets, used assertions and delegations, and no others',
  async (_, database) => {
    const store = await openProbed(database);
    const acme = await makeTenant(store.db, 'acme');
    const ann = await makePerson(store.db, await testPasswords(), [acme]);
    const id = 'client-01936f00-0000-7000-8000-000000000031';
    await probing(store.db, async (trx) => {
      await trx
        .insertInto('clients')
        .values({ id, tenant_id: acme.id, name: 'x', scopes: [], grant_types: [], jwks: null, created_by: null })
        .execute();
      for (const [at, ms] of [
        ['old', -1000],
        ['new', 60_000],
      ] as const) {
        const expires_at = new Date(Date.now() + ms);
        const hash = Buffer.alloc(32, at);
        const ofOAuthClient = { tenant_id: acme.id, client_id: id };
        await trx
          .insertInto('client_assertions')
          .values({ hash, ...ofOAuthClient, expires_at })
          .execute();
        await trx
          .insertInto('client_secrets')
          .values({ id: at, hash, ...ofOAuthClient })
          .execute();
        await trx.updateTable('client_secrets').set({ expires_at }).where('id', '=', at).execute();
        await trx
          .insertInto('delegations')
          .values({
            id: at,
            ...ofOAuthClient,
            user_id: ann.userId,
            session_id: 's',
            scopes: [],
            token_hash: hash,
            expires_at,
          })
          .execute();
      }
    });
    await removeExpired(store.db);
    const left = await probing(store.db, async (trx) => [
      (await trx.selectFrom('client_assertions').selectAll().execute()).length,
      (await trx.selectFrom('client_secrets').selectAll().execute()).map((r) => r.id),
      (await trx.selectFrom('delegations').selectAll().execute()).map((r) => r.id),
    ]);
    expect(left).toEqual([1, ['new'], ['new']]);
    await store.close();
  },
);
