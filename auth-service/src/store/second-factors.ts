import type { Trx } from './scope.ts';

/** Whether this person has to show a second factor, as the role that issues may know it. */
export async function hasSecondFactor(trx: Trx, userId: string): Promise<boolean> {
  const row = await trx
    .selectFrom('totp')
    .select('user_id')
    .where('user_id', '=', userId)
    .where('confirmed_at', 'is not', null)
    .executeTakeFirst();
  return row !== undefined;
}
