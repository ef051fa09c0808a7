import { databases, type ThrowAway } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import type { AuthSchema } from '../src/store/schema.ts';
import { issueTimeSec } from '../src/store/sessions/revocations.ts';
import { roles, type Trx } from '../src/store/transaction.ts';
import { openProbed, probing } from './support/probed-database.ts';

describe.each(databases())('the revocation log on %s', (_, database) => {
  let store: ThrowAway<AuthSchema>;
  beforeAll(async () => {
    store = await openProbed(database);
  });
  afterAll(() => store.close());

  test('a login reads at most three revocations, even with 100,000 ended sessions and 20,000 changed members in its tenant', async () => {
    await probing(store.db, (trx) =>
      sql`insert into revocations (kind, sid, user_id, tenant_id, not_before, expires_at)
          select 'session', 's' || n, case when n % 2 = 0 then 'ann' else 'u' || n end, 'acme', now(), now() + interval '1 hour'
          from generate_series(1, 100000) n
          union all select 'member', null, 'u' || n, 'acme', now(), now() + interval '1 hour' from generate_series(1, 20000) n
          union all select 'member', null, 'ann', 'acme', now() + interval '1 hour', now() + interval '1 hour'
          union all select 'user', null, 'u' || n, null, now(), now() + interval '1 hour' from generate_series(1, 20000) n`.execute(
        trx,
      ),
    );
    /** Rows of the log that this transaction has read so far, with or without an index. */
    const rowsRead = async (trx: Trx) => {
      const { rows } = await sql<{ n: number }>`
        select seq_tup_read + idx_tup_fetch as n from pg_stat_xact_user_tables where relname = 'revocations'`.execute(
        trx,
      );
      return rows[0]?.n ?? 0;
    };
    const read = (userId: string) =>
      store.db.transaction({ role: roles.app, tenantId: 'acme', userId }, async (trx) => {
        const before = await rowsRead(trx);
        const sec = await issueTimeSec(trx, { userId, tenantId: 'acme' });
        return { sec, rows: (await rowsRead(trx)) - before };
      });
    const [ann, bob] = [await read('ann'), await read('bob')];
    expect(ann.rows).toBeGreaterThanOrEqual(1);
    expect(ann.rows).toBeLessThanOrEqual(3);
    expect(bob.rows).toBeLessThanOrEqual(3);
    expect(ann.sec).toBeGreaterThan(bob.sec + 1_000);
  });
});
