import { remove, update } from '@countersign/database';
import { assertGoodPassword } from '../../domain/accounts/password-policy.ts';
import type { Passwords, StoredPassword } from '../../domain/accounts/passwords.ts';
import { AppError } from '../../errors.ts';
import { findOwnPassword, lockUser } from '../../store/accounts/accounts.ts';
import { findReset, takeToken } from '../../store/mail/mailed-tokens.ts';
import { lockOwnSessions } from '../../store/sessions/sessions.ts';
import { type AuthDatabase, actAs, now, roles, type Trx } from '../../store/transaction.ts';
import { recordForPerson } from '../audit/record.ts';
import { orderMail } from '../mail/deliver.ts';
import { endSessions, type SessionOwner } from '../sessions/end-sessions.ts';
import { type HttpCaller, judge, type Throttle, turnOf } from '../sessions/throttle.ts';

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
  caller: HttpCaller,
): Promise<void> {
  const { requestId } = caller;
  const own = await findOwnPassword(db, userId);
  if (own === undefined) throw new AppError('session_revoked');
  const { email, hash: was } = own;
  assertGoodPassword(given.next, email, 'new_password');
  // Attempts are limited as for a login, so that a stolen access token cannot be used to guess the password.
  await judge(await throttle.reserveLogin(email, caller.ip), async () => {
    if (!(await passwords.verify(given.current, own, turnOf(caller)))) throw new AppError('invalid_credentials');
    const to = await passwords.hash(given.next, turnOf(caller));
    await db.transaction({ role: roles.self, userId }, async (trx) => {
      await lockUser(trx, userId);
      const open = await lockOwnSessions(trx, userId);
      if (!open.some(({ id }) => id === sessionId)) throw new AppError('session_revoked');
      // The second of two concurrent changes finds another hash.
      const changed = await replace(trx, { userId, email, requestId, was }, to);
      if (!changed) throw new AppError('invalid_credentials');
      const detail = { ip: caller.ip };
      await recordForPerson(trx, userId, { action: 'password.changed', sessionId, requestId, detail });
      const others = open.filter(({ id }) => id !== sessionId);
      await endSessions(trx, userId, others, { reason: 'password_changed', requestId });
    });
  });
}

/**
 * Stores the new password, deletes all password-reset links, and emails the account's owner. Unfinished logins with the
 * old password become invalid.
 *
 * @param of.was The expected current hash, if it matters.
 * @returns Whether the password was changed.
 */
async function replace(
  trx: Trx,
  { userId, email, requestId, was }: Readonly<{ userId: string; email: string; requestId: string; was?: string }>,
  to: StoredPassword,
): Promise<boolean> {
  await actAs(trx, roles.accounts);
  const credential = { user_id: userId, ...(was !== undefined && { hash: was }) };
  if (!(await update(trx, 'credentials', credential, { ...to, changed_at: now }))) return false;
  await remove(trx, 'mailed_tokens', { user_id: userId });
  await orderMail(trx, userId, { kind: 'password_changed', email, requestId });
  await actAs(trx, roles.self);
  return true;
}

/** The link stays valid: mail scanners also open links. @throws AppError `invalid_token`, `too_many_attempts`. */
export const readReset = async ({ db, throttle }: PasswordParts, token: string, caller: HttpCaller) =>
  (await judge(await throttle.reserveToken(caller.ip), () => holderOf(db, token))).email;

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
  caller: HttpCaller,
): Promise<void> {
  const { requestId } = caller;
  await judge(await throttle.reserveToken(caller.ip), async () => {
    const { userId, email } = await holderOf(db, given.token);
    // Checked before the link is used up, so that a refused password does not require a new email.
    assertGoodPassword(given.password, email);
    const to = await passwords.hash(given.password, turnOf(caller));
    await db.transaction({ role: roles.self, userId }, async (trx) => {
      await lockUser(trx, userId);
      // Locks the sessions before the audit chain, as every flow does: a concurrent logout locks a session and then
      // waits for the chain.
      const open = await lockOwnSessions(trx, userId);
      await actAs(trx, roles.accounts);
      if (!(await takeToken(trx, given.token, 'password_reset'))) throw new AppError('invalid_token');
      await replace(trx, { userId, email, requestId }, to);
      await recordForPerson(trx, userId, { action: 'password.reset', requestId, detail: { ip: caller.ip } });
      const also = { kind: 'user', user_id: userId } as const;
      await endSessions(trx, userId, open, { reason: 'password_reset', requestId, also });
    });
  });
}
