import { sql } from 'kysely';
import type { Trx } from '../scope.ts';

export type StoredPassword = Readonly<{ hash: string; pepperKid: string }>;

/**
 * Puts another password in place; whatever was proven with the one before is void from now on.
 *
 * @param was Only where this is still the hash, so that of two changes at once the second is refused.
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
 * Makes an account whose address is known to be its owner's.
 *
 * @returns false when the address has one already.
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
      // The session that may follow at once must be younger, by a clock of whole milliseconds; nobody can have logged in before.
      changed_at: sql<Date>`clock_timestamp() - interval '2 milliseconds'`,
    })
    .execute();
  return true;
}
