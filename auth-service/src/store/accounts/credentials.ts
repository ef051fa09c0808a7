import { sql } from 'kysely';
import type { StoredPassword } from '../../domain/accounts/passwords.ts';
import { now } from '../clock.ts';
import type { Trx } from '../scope.ts';

/**
 * Changes the password. Unfinished logins with the old password become invalid.
 *
 * @param change.was The expected current hash. The second of two concurrent changes is refused.
 * @returns Whether the password was changed.
 */
export async function changePassword(
  trx: Trx,
  userId: string,
  change: Readonly<{ to: StoredPassword; was?: string }>,
): Promise<boolean> {
  let update = trx
    .updateTable('credentials')
    .set({ hash: change.to.hash, pepper_kid: change.to.pepperKid, changed_at: now })
    .where('user_id', '=', userId);
  if (change.was !== undefined) update = update.where('hash', '=', change.was);
  const { numUpdatedRows } = await update.executeTakeFirst();
  return numUpdatedRows > 0n;
}

/**
 * Creates an account with a confirmed address.
 *
 * @returns false if the address already has an account.
 */
export async function insertAccount(
  trx: Trx,
  { userId, email, password }: Readonly<{ userId: string; email: string; password: StoredPassword }>,
): Promise<boolean> {
  const made = await trx
    .insertInto('users')
    .values({ id: userId, email_ci: email, email_verified_at: now })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  if ((made.numInsertedOrUpdatedRows ?? 0n) === 0n) return false;
  await trx
    .insertInto('credentials')
    .values({
      user_id: userId,
      hash: password.hash,
      pepper_kid: password.pepperKid,
      // A session that starts immediately must be at least a millisecond later than the password.
      changed_at: sql<Date>`clock_timestamp() - interval '2 milliseconds'`,
    })
    .execute();
  return true;
}
