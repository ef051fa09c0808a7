import { sql } from 'kysely';
import type { AuthDatabase } from '../database.ts';
import { roles } from '../roles.ts';
import type { Attempts, Count } from './attempts.ts';

/** Counts in the database. The counts survive a restart, and all instances share them. */
export function databaseAttempts(db: AuthDatabase): Attempts {
  const scope = { role: roles.login };
  return {
    async add(limits) {
      // Locks the rows in a fixed order, so that two requests that share keys do not deadlock.
      const ordered = [...limits].sort((a, b) => (a.key < b.key ? -1 : 1));
      const counted = await db.transaction(scope, async (trx) => {
        const counts = new Map<string, Count>();
        for (const { key, windowSec } of ordered) {
          const { rows } = await sql<Count>`
            insert into login_attempts as a (key, count, window_ends_at)
            values (${key}, 1, clock_timestamp() + make_interval(secs => ${windowSec}::int))
            on conflict (key) do update set
              count = case when a.window_ends_at <= clock_timestamp() then 1 else a.count + 1 end,
              window_ends_at = case when a.window_ends_at <= clock_timestamp()
                then excluded.window_ends_at else a.window_ends_at end
            returning count,
              greatest(1, ceil(extract(epoch from window_ends_at - clock_timestamp())))::int as "resetsInSec"
          `.execute(trx);
          const [row] = rows;
          if (row !== undefined) counts.set(key, row);
        }
        return counts;
      });
      return limits.map(({ key }) => counted.get(key) ?? { count: 0, resetsInSec: 0 });
    },
    async takeBack(limits) {
      const keys = limits.map(({ key }) => key).sort();
      await db.transaction(scope, async (trx) => {
        for (const key of keys) {
          await trx
            .updateTable('login_attempts')
            .set({ count: sql<number>`greatest(0, count - 1)` })
            .where('key', '=', key)
            .execute();
        }
      });
    },
    async clear({ key }) {
      await db.transaction(scope, (trx) => trx.deleteFrom('login_attempts').where('key', '=', key).execute());
    },
  };
}
