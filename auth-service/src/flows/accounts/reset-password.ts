import { AppError } from '../../errors.ts';
import { findOwnPassword, lockUser } from '../../store/accounts/accounts.ts';
import type { AuthDatabase } from '../../store/database.ts';
import { findReset, takeToken } from '../../store/mail/mailed-tokens.ts';
import { roles } from '../../store/roles.ts';
import { actAs } from '../../store/scope.ts';
import { lockOwnSessions } from '../../store/sessions/sessions.ts';
import { recordForPerson } from '../audit/record.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import type { Caller } from '../sessions/grant.ts';
import { judge } from '../sessions/throttle.ts';
import { assertGoodPassword } from './assert-good-password.ts';
import { type PasswordParts, replace } from './change-password.ts';

/**
 * Returns the email address of the link's account. The link stays valid, because mail scanners also open links.
 *
 * @throws AppError `invalid_token`, `too_many_attempts`.
 */
export async function readReset(
  { db, throttle }: Pick<PasswordParts, 'db' | 'throttle'>,
  token: string,
  caller: Caller,
): Promise<string> {
  const reservation = await throttle.reserveToken(caller.ip);
  return (await judge(reservation, () => holderOf(db, token))).email;
}

/** @throws AppError `invalid_token`, also when the account is disabled. */
async function holderOf(db: AuthDatabase, token: string): Promise<Readonly<{ userId: string; email: string }>> {
  const userId = await db.transaction({ role: roles.accounts }, (trx) => findReset(trx, token));
  const own = userId === undefined ? undefined : await findOwnPassword(db, userId);
  if (userId === undefined || own === undefined) throw new AppError('invalid_token');
  return { userId, email: own.email };
}

/**
 * Changes the password of the link's account. The same transaction uses up the link, ends every session and revokes
 * every token. The second factor stays, and the next login requires it.
 *
 * @throws AppError `invalid_token`, `validation_failed`, `too_many_attempts`, `login_busy`.
 */
export async function resetPassword(
  { db, passwords, throttle }: PasswordParts,
  given: Readonly<{ token: string; password: string }>,
  caller: Caller,
): Promise<void> {
  const { requestId } = caller;
  const reservation = await throttle.reserveToken(caller.ip);
  await judge(reservation, async () => {
    const { userId, email } = await holderOf(db, given.token);
    // Checked before the link is used up, so that a refused password does not require a new email.
    assertGoodPassword(given.password, email);
    const to = await passwords.hash(given.password);
    await db.transaction({ role: roles.accounts, userId }, async (trx) => {
      await actAs(trx, roles.self);
      await lockUser(trx, userId);
      // Locks the sessions before the audit chain, as every flow does: a concurrent logout locks a session and then
      // waits for the chain.
      const open = await lockOwnSessions(trx, userId);
      await actAs(trx, roles.accounts);
      if (!(await takeToken(trx, given.token, 'password_reset'))) throw new AppError('invalid_token');
      await replace(trx, { userId, email, requestId }, { to });
      await recordForPerson(trx, userId, { action: 'password.reset', requestId, detail: { ip: caller.ip } });
      const revocations = [{ kind: 'user', user_id: userId } as const];
      await endSessions(trx, userId, open, { reason: 'password_reset', requestId, revocations });
    });
  });
}
