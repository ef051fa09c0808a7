import { databases, type ThrowAway } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type CompiledQuery, sql } from 'kysely';
import { listComplaints } from '../src/store/complaints.ts';
import { migrations } from '../src/store/migrations.ts';
import { appRole, type ComplaintsSchema, loginRole } from '../src/store/schema.ts';

const scope = { role: appRole, tenantId: 'acme' };

describe.each(databases())('searching many complaints on %s', (_kind, database) => {
  let made: ThrowAway<ComplaintsSchema>;
  beforeAll(async () => {
    made = await database.open<ComplaintsSchema>({ login: loginRole, roles: [appRole], migrations });
    await made.db.transaction(scope, async (trx) => {
      await sql`
        insert into complaints
        select 'acme', gen_random_uuid(), 't', 'd', 'c', 'open', 'u', null, gen_random_uuid(), now(), now()
        from generate_series(1, 2000)`.execute(trx);
      await sql`
        insert into terms select 'acme', 'word' || n, id from complaints, generate_series(1, 10) n`.execute(trx);
    });
  });
  afterAll(() => made.close());

  // With tsvector and @@ this plan would read every word of the tenant: see DESIGN section 8.
  test('looks words up in an index, under row-level security', async () => {
    const plan = await made.db.transaction(scope, async (trx) => {
      // Check that the planner can use the index; with so few rows it would not choose it.
      await sql`set local enable_seqscan = off`.execute(trx);
      let compiled: CompiledQuery | undefined;
      const recording = trx.withPlugin({
        transformQuery: ({ node, queryId }) => {
          compiled = trx.getExecutor().compileQuery(node, queryId);
          return node;
        },
        transformResult: async ({ result }) => result,
      });
      const filter = { status: undefined, words: ['word7'], after: undefined, limit: 21 };
      await listComplaints(recording, { kind: 'tenant' }, filter);
      if (compiled === undefined) throw new Error('no query was made');
      const explained = { ...compiled, sql: `explain ${compiled.sql}` };
      const { rows } = await trx.executeQuery<{ 'QUERY PLAN': string }>(explained);
      return rows.map((row) => row['QUERY PLAN']).join('\n');
    });
    expect(plan).toMatch(/Index Cond: .*term >= 'word7'/);
  });
});
