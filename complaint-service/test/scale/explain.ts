import type { Database } from '@countersign/database';
import type { CompiledQuery } from 'kysely';
import type { ComplaintsSchema } from '../../src/store/schema/schema.ts';
import { asUser, type ScopeUser, type Trx } from '../../src/store/scope.ts';

export type Explained = Readonly<{
  plan: string;
  /** How many rows each node of the plan returned, and how many its filter removed, over all its loops. */
  rowsRead: readonly number[];
}>;

/** Runs the built queries of `work` for a user, and returns their plans with real numbers of rows. */
export async function explain(
  db: Database<ComplaintsSchema>,
  user: ScopeUser,
  work: (trx: Trx) => Promise<unknown>,
): Promise<Explained[]> {
  return asUser(db, user, async (trx) => {
    const compiled: CompiledQuery[] = [];
    const recording = trx.withPlugin({
      transformQuery: ({ node, queryId }) => {
        compiled.push(trx.getExecutor().compileQuery(node, queryId));
        return node;
      },
      transformResult: async ({ result }) => result,
    });
    await work(recording);
    const explained: Explained[] = [];
    for (const query of compiled) {
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
    return explained;
  });
}
