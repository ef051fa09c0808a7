import { databases, eventually, type ThrowAway } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import type { AuthSchema } from '../src/store/schema.ts';
import { type AuthDatabase, holdLock, roles } from '../src/store/transaction.ts';
import { batchRows, removeExpired } from '../src/store/upkeep.ts';
import { openAgain, openProbed, probing } from './support/probed-database.ts';

/** The same database, with a record of how long each transaction took. */
function timed(db: AuthDatabase): { db: AuthDatabase; tookMs: number[] } {
  const tookMs: number[] = [];
  const transaction: AuthDatabase['transaction'] = async (scope, work) => {
    const startedAt = performance.now();
    try {
      return await db.transaction(scope, work);
    } finally {
      tookMs.push(performance.now() - startedAt);
    }
  };
  return { db: { ...db, transaction }, tookMs };
}

describe.each(databases())('upkeep on %s', (kind, database) => {
  let store: ThrowAway<AuthSchema>;
  beforeAll(async () => {
    store = await openProbed(database);
  });
  afterAll(() => store.close());

  const attempts = (rows: number) =>
    probing(store.db, (trx) =>
      sql`insert into login_attempts (key, count, window_ends_at)
          select 'k' || n, 1, now() - interval '1 minute' from generate_series(1, ${rows}::int) n`.execute(trx),
    );
  const left = (table: 'login_attempts' | 'revocations') =>
    probing(store.db, async (trx) => {
      const { rows } = await sql<{ n: number }>`select count(*) as n from ${sql.table(table)}`.execute(trx);
      return rows[0]?.n;
    });

  test('deletes many expired rows in short transactions of limited size', async () => {
    const rows = kind === 'postgres' ? 200_000 : 20_000;
    await attempts(rows);
    const { db, tookMs } = timed(store.db);
    for (let round = 0; round < 3; round += 1) await removeExpired(db);
    expect(await left('login_attempts')).toBe(0);
    expect(tookMs.length).toBeGreaterThan(rows / batchRows);
    expect(Math.max(...tookMs)).toBeLessThan(5_000);
  });

  test('gives every table its turn, even when one has many expired rows', async () => {
    await attempts(3 * batchRows);
    await probing(store.db, (trx) =>
      sql`insert into revocations (kind, kid, not_before, expires_at)
          select 'key', 'k', now(), now() - interval '1 minute' from generate_series(1, 3)`.execute(trx),
    );
    const seen: unknown[] = [];
    const transaction: AuthDatabase['transaction'] = async (scope, work) => {
      const result = await store.db.transaction(scope, work);
      seen.push([await left('login_attempts'), await left('revocations')]);
      return result;
    };
    await removeExpired({ ...store.db, transaction });
    // The newest entry of the log stays.
    expect(seen).toContainEqual([2 * batchRows, 1]);
    expect(seen.at(-1)).toEqual([0, 1]);
  });

  test('stops after the current transaction', async () => {
    await attempts(3 * batchRows);
    const stop = new AbortController();
    const transaction: AuthDatabase['transaction'] = async (scope, work) => {
      const result = await store.db.transaction(scope, work);
      if (result === batchRows) stop.abort();
      return result;
    };
    await removeExpired({ ...store.db, transaction }, stop.signal);
    expect(await left('login_attempts')).toBe(2 * batchRows);
    await removeExpired(store.db);
  });

  if (kind === 'postgres') {
    test('an instance skips upkeep while another one runs it', async () => {
      await attempts(10);
      const other = await openAgain(store);
      const done = Promise.withResolvers<void>();
      const held = Promise.withResolvers<void>();
      const atIt = other.transaction({ role: roles.upkeep }, async (trx) => {
        await holdLock(trx, 'upkeep');
        held.resolve();
        await done.promise;
      });
      await held.promise;
      const { db, tookMs } = timed(store.db);
      await removeExpired(db);
      expect(tookMs).toHaveLength(1);
      expect(await left('login_attempts')).toBe(10);
      done.resolve();
      await atIt;
      await removeExpired(store.db);
      expect(await left('login_attempts')).toBe(0);
      await other.close();
    });

    test('two instances together delete everything without an error', async () => {
      await attempts(20 * batchRows);
      const other = await openAgain(store);
      await Promise.all([removeExpired(store.db), removeExpired(other)]);
      await eventually(async () => {
        await removeExpired(store.db);
        expect(await left('login_attempts')).toBe(0);
      });
      await other.close();
    });
  }
});
