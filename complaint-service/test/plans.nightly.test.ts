import { databases, runAsSuperuser, type ThrowAway } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { complaintsDatabase } from '../src/store/database.ts';
import { asUser } from '../src/store/schema.ts';
import type { ComplaintsSchema } from '../src/store/tables.ts';
import { explain, explainTransactions } from './scale/explain.ts';
import { fillTenant } from './scale/many-complaints.ts';
import { manyDeliveries } from './scale/many-deliveries.ts';
import { agent, background, list, queries } from './scale/queries.ts';
import { rebuildStatistics } from './scale/rebuild-statistics.ts';

const tenants = [
  { tenantId: 'acme', complaints: 70_000, seed: 1 },
  { tenantId: 'globex', complaints: 30_000, seed: 2 },
];

// With tsvector and @@ a search would read every complaint of the tenant: see docs/operations/complaints-at-scale.md.
describe.each(databases())('query plans for 100,000 complaints in two tenants, on %s', (_kind, database) => {
  let made: ThrowAway<ComplaintsSchema>;
  beforeAll(async () => {
    made = await database.open<ComplaintsSchema>(complaintsDatabase);
    await runAsSuperuser(made, [...tenants.flatMap(fillTenant), ...rebuildStatistics, ...manyDeliveries, 'analyze']);
  }, 300_000);
  afterAll(() => made.close());

  test.each(queries.map((query) => [query.what, query] as const))(
    'the list "%s" reads few rows',
    async (_what, { user, work }) => {
      const [explained] = await explain(made.db, user, work);
      if (explained === undefined) throw new Error('no query was made');
      expect(explained.plan).not.toMatch(/Seq Scan on (?:complaints|terms)[^\n]*\(actual/);
      // A list reads 21 rows. A query that reads the whole tenant would read 70,000.
      expect([Math.max(...explained.rowsRead) < 5_000, explained.plan]).toEqual([true, explained.plan]);
    },
  );

  test.each(background.map((query) => [query.what, query] as const))(
    'background work reads few rows: %s',
    async (_what, { work, maxRows }) => {
      const explained = await explainTransactions(made.db, work);
      expect(explained).not.toEqual([]);
      for (const { plan, rowsRead } of explained) {
        expect(plan).not.toMatch(/Seq Scan on (?:webhook_deliveries|events|idempotency_keys)[^\n]*\(actual/);
        expect([Math.max(...rowsRead) <= maxRows, plan]).toEqual([true, plan]);
      }
    },
  );

  test('a search finds complaints only in its own tenant', async () => {
    for (const tenantId of ['acme', 'globex']) {
      const found = await asUser(made.db, { ...agent, tenantId }, list({ q: ['babababa'] }));
      expect(found.map(({ tenant_id }) => tenant_id)).toEqual(Array.from({ length: 21 }, () => tenantId));
    }
  });
});
