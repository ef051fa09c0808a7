import type { CompiledQuery } from 'kysely';
import { sql } from 'kysely';
import { asUser, type ComplaintsDatabase, type ScopeUser, type Trx } from '../../src/store/schema.ts';

export type Explained = Readonly<{
  plan: string;
  /** How many rows each plan node returned, and how many its filter removed, in all loops. */
  rowsRead: readonly number[];
}>;

/** Runs the queries that `work` builds for a user, and returns their plans with actual row counts. */
export function explain(
  db: ComplaintsDatabase,
  user: ScopeUser,
  work: (trx: Trx) => Promise<unknown>,
): Promise<readonly Explained[]> {
  return asUser(db, user, async (trx) => (await explainIn(trx, work)).explained);
}

/** Like the function above, for work that starts its own transactions. Rolls each one back after explaining it. */
export async function explainTransactions(
  db: ComplaintsDatabase,
  work: (db: ComplaintsDatabase) => Promise<unknown>,
): Promise<readonly Explained[]> {
  const all: Explained[] = [];
  await work({
    ...db,
    transaction: (scope, inner) =>
      db.transaction(scope, async (trx) => {
        const { result, explained } = await explainIn(trx, inner);
        all.push(...explained);
        return result;
      }),
  });
  return all;
}

async function explainIn<T>(trx: Trx, work: (trx: Trx) => Promise<T>) {
  const compiled: CompiledQuery[] = [];
  const recording = trx.withPlugin({
    transformQuery: ({ node, queryId }) => {
      compiled.push(trx.getExecutor().compileQuery(node, queryId));
      return node;
    },
    transformResult: async ({ result }) => result,
  });
  await sql`savepoint before_work`.execute(trx);
  const result = await work(recording);
  const explained: Explained[] = [];
  for (const query of compiled) {
    await sql`rollback to savepoint before_work`.execute(trx);
    const { rows } = await trx.executeQuery<{ 'QUERY PLAN': string }>({
      ...query,
      sql: `explain (analyze, timing off, costs off) ${query.sql}`,
    });
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
    const returned = [...plan.matchAll(/actual rows=([\d.]+) loops=(\d+)/g)].map(
      ([, count, loops]) => Number(count) * Number(loops),
    );
    const removed = [...plan.matchAll(/Rows Removed by Filter: (\d+)/g)].map(([, count]) => Number(count));
    explained.push({ plan, rowsRead: [...returned, ...removed] });
  }
  await sql`rollback to savepoint before_work`.execute(trx);
  return { result, explained };
}
