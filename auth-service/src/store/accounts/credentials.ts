import { sql } from 'kysely';
import type { Trx } from '../scope.ts';

export type StoredPassword = Readonly<{ hash: string; pepperKid: string }>;

/**
 * Replaces the password; proofs made with the old one become invalid.
 *
 * @param was The expected current hash, so that the second of two concurrent changes is refused.
 */
export async function changePassword(
  trx: Trx,
  userId: string,
  change: Readonly<{ to: StoredPassword; was?: string }>,
): Promise<boolean> {
  let update = trx
    .updateTable('credentials')
    .set({ hash: change.to.hash, pepper_kid: change.to.pepperKid, changed_at: sql<Date>`clock_timestamp()` })
    .where('user_id', '=', userId);
  if (change.was !== undefined) update = update.where('hash', '=', change.was);
  const { numUpdatedRows } = await update.executeTakeFirst();
  return numUpdatedRows > 0n;
}

/**
 * Creates an account whose address is confirmed.
 *
 * @returns false if the address already has one.
 */
export async function insertAccount(
  trx: Trx,
  { userId, email, password }: Readonly<{ userId: string; email: string; password: StoredPassword }>,
): Promise<boolean> {
  const made = await trx
    .insertInto('users')
    .values({ id: userId, email_ci: email, email_verified_at: sql<Date>`clock_timestamp()` })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  if ((made.numInsertedOrUpdatedRows ?? 0n) === 0n) return false;
  await trx
    .insertInto('credentials')
    .values({
      user_id: userId,
      hash: password.hash,
      pepper_kid: password.pepperKid,
      // A session may start immediately, and must be later by at least a millisecond. No earlier login can exist.
      changed_at: sql<Date>`clock_timestamp() - interval '2 milliseconds'`,
    })
    .execute();
  return true;
}
