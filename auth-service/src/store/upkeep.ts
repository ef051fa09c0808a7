import { type RawBuilder, sql } from 'kysely';
import { type AuthDatabase, roles, type Trx, tryLock } from './transaction.ts';

/** A batch takes tens of milliseconds. The server aborts a statement after 10 s. */
export const batchRows = 1_000;

// Limits each run, so that every table gets its turn. The next run continues where this one stopped.
const maxBatches = 200;

/** Deletes or clears up to `batchRows` rows. @returns The number of rows. */
type Batch = (trx: Trx) => Promise<number>;

/** Repeats the policies' conditions with now(): their clock_timestamp() prevents the use of an index. */
const batches: readonly Batch[] = [
  unseal,
  deleting('sessions', 'absolute_expires_at'),
  deleting('one_time_tokens', 'expires_at'),
  deleting('login_attempts', 'window_ends_at'),
  deleting('client_assertions', 'expires_at'),
  deleting('delegations', 'expires_at'),
  deleting('client_secrets', 'expires_at'),
  deleting('mailed_tokens', 'expires_at'),
  deleting('registrations', 'expires_at'),
  deleting('invitations', 'expires_at', sql`expires_at < now() - interval '30 days'`),
  deleting('outbox', 'parked_at', sql`parked_at < now() - interval '30 days'`),
  // The role's policy selects the rows, because the role cannot read the keys.
  (trx) => changed(trx, sql`delete from signing_keys`),
  // Keeps the newest entry as the head of the log. Without it, current cursors would seem to belong to a different log.
  deleting('revocations', 'expires_at', sql`expires_at < now() and seq < (select max(seq) from revocations)`),
];

/**
 * Deletes expired rows in short transactions, one table after another. Only one instance runs at a time. Other
 * instances skip the run.
 *
 * @param signal Ends the run after the current transaction.
 */
export async function removeExpired(db: AuthDatabase, signal?: AbortSignal): Promise<void> {
  let left = batches;
  for (let count = 0; count < maxBatches && left.length > 0; count += 1) {
    const full: Batch[] = [];
    for (const batch of left) {
      if (signal?.aborted) return;
      const rows = await db.transaction({ role: roles.upkeep }, async (trx) =>
        (await tryLock(trx, 'upkeep')) ? batch(trx) : undefined,
      );
      if (rows === undefined) return;
      if (rows >= batchRows) full.push(batch);
    }
    left = full;
  }
}

async function unseal(trx: Trx): Promise<number> {
  return changed(
    trx,
    sql`update sessions set sealed_successor = null where ctid = any(array(
      select ctid from sessions
      where sealed_successor is not null and rotated_at < now() - interval '30 seconds'
      order by rotated_at limit ${batchRows}::int))`,
  );
}

/** @param condition Which rows to delete, by default those whose `end` has passed. */
function deleting(name: string, end: string, condition = sql`${sql.ref(end)} < now()`): Batch {
  const table = sql.table(name);
  return (trx) =>
    changed(
      trx,
      sql`delete from ${table} where ctid = any(array(
        select ctid from ${table} where ${condition} order by ${sql.ref(end)} limit ${batchRows}::int))`,
    );
}

async function changed(trx: Trx, statement: RawBuilder<unknown>): Promise<number> {
  const { numAffectedRows } = await statement.execute(trx);
  return Number(numAffectedRows ?? 0);
}
