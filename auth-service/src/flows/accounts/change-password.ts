import type { Passwords } from '../../domain/accounts/passwords.ts';
import { AppError } from '../../errors.ts';
import { findOwnPassword, lockUser } from '../../store/accounts/accounts.ts';
import { changePassword as storePassword } from '../../store/accounts/credentials.ts';
import type { AuthDatabase } from '../../store/database.ts';
import { dropResets } from '../../store/mail/mailed-tokens.ts';
import { roles } from '../../store/roles.ts';
import { actAs, type Trx } from '../../store/scope.ts';
import { lockOwnSessions } from '../../store/sessions/sessions.ts';
import { recordForPerson } from '../audit/record.ts';
import { orderMail } from '../mail/outbox-messages.ts';
import { endSessions, type SessionOwner } from '../sessions/end-sessions.ts';
import type { Caller } from '../sessions/grant.ts';
import { judge, type Throttle } from '../sessions/throttle.ts';
import { assertGoodPassword } from './assert-good-password.ts';

export type PasswordParts = Readonly<{ db: AuthDatabase; passwords: Passwords; throttle: Throttle }>;

/**
 * Changes the password of a user who enters the current password. Also ends all other sessions in the same transaction,
 * so that a concurrent login with the old password fails.
 *
 * @throws AppError `invalid_credentials`, `validation_failed`, `session_revoked`, `too_many_attempts`, `login_busy`.
 */
export async function changePassword(
  { db, passwords, throttle }: PasswordParts,
  { userId, sessionId }: SessionOwner,
  given: Readonly<{ current: string; next: string }>,
  caller: Caller,
): Promise<void> {
  const { requestId } = caller;
  const own = await findOwnPassword(db, userId);
  if (own === undefined) throw new AppError('session_revoked');
  const { email, password: stored } = own;
  assertGoodPassword(given.next, email, 'new_password');
  // Attempts are limited as for a login, so that a stolen access token cannot be used to guess the password.
  const reservation = await throttle.reserveLogin(email, caller.ip);
  await judge(reservation, async () => {
    if (!(await passwords.verify(given.current, stored))) throw new AppError('invalid_credentials');
    const to = await passwords.hash(given.next);
    await db.transaction({ role: roles.self, userId }, async (trx) => {
      await lockUser(trx, userId);
      const open = await lockOwnSessions(trx, userId);
      if (!open.some(({ id }) => id === sessionId)) throw new AppError('session_revoked');
      const changed = await replace(trx, { userId, email, requestId }, { to, was: stored.hash });
      if (!changed) throw new AppError('invalid_credentials');
      const detail = { ip: caller.ip };
      await recordForPerson(trx, userId, { action: 'password.changed', sessionId, requestId, detail });
      const others = open.filter(({ id }) => id !== sessionId);
      await endSessions(trx, userId, others, { reason: 'password_changed', requestId, revocations: [] });
    });
  });
}

/** Stores the new password, deletes all password-reset links, and emails the account's owner. */
export async function replace(
  trx: Trx,
  of: Readonly<{ userId: string; email: string; requestId: string }>,
  change: Parameters<typeof storePassword>[2],
): Promise<boolean> {
  await actAs(trx, roles.accounts);
  if (!(await storePassword(trx, of.userId, change))) return false;
  await dropResets(trx, of.userId);
  await orderMail(trx, of.userId, { kind: 'password_changed', email: of.email, requestId: of.requestId });
  await actAs(trx, roles.self);
  return true;
}
