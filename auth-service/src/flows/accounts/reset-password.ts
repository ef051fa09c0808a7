import { v7 as uuidv7 } from 'uuid';
import { canonicalEmail } from '../../domain/accounts/email.ts';
import { networkOf } from '../../domain/accounts/network.ts';
import { AppError } from '../../errors.ts';
import { findOwnPassword, lockUser } from '../../store/accounts/accounts.ts';
import { findReset, takeReset } from '../../store/mail/mailed-tokens.ts';
import { roles } from '../../store/roles.ts';
import { actAs } from '../../store/scope.ts';
import { lockOwnSessions } from '../../store/sessions/sessions.ts';
import { recordForPerson } from '../audit/record.ts';
import { orderMail } from '../mail/outbox-messages.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import type { Caller } from '../sessions/grant.ts';
import { judge } from '../sessions/throttle.ts';
import { type PasswordParts, replace } from './change-password.ts';
import { demandGoodPassword } from './demand-good-password.ts';

/**
 * Orders a mail with a link to a new password. Nothing here looks whether there is such an account: that is seen when the mail is
 * made, and nobody waits for it.
 *
 * @throws AppError `too_many_attempts`.
 */
export async function forgotPassword(
  { db, throttle }: Pick<PasswordParts, 'db' | 'throttle'>,
  given: string,
  caller: Caller,
): Promise<void> {
  const email = canonicalEmail(given);
  const request = { purpose: 'password_reset', email } as const;
  if (!(await throttle.reserveMail(request, networkOf(caller.ip ?? undefined)))) return;
  await db.transaction({ role: roles.accounts }, (trx) =>
    orderMail(trx, uuidv7(), { kind: 'password_reset', email, requestId: caller.requestId }),
  );
}

/**
 * Replaces a password by whoever has the link. The link is used up, every session ended and every token revoked in the transaction
 * that writes the new password. A second factor stays, and is asked for at the next login.
 *
 * @throws AppError `invalid_token`, `validation_failed`, `too_many_attempts`, `login_busy`.
 */
export async function resetPassword(
  { db, passwords, throttle }: PasswordParts,
  given: Readonly<{ token: string; password: string }>,
  caller: Caller,
): Promise<void> {
  const { requestId } = caller;
  const reservation = await throttle.reserveToken(networkOf(caller.ip ?? undefined));
  await judge(reservation, async () => {
    const userId = await db.transaction({ role: roles.accounts }, (trx) => findReset(trx, given.token));
    const own = userId === undefined ? undefined : await findOwnPassword(db, userId);
    if (userId === undefined || own === undefined) throw new AppError('invalid_token');
    const { email } = own;
    // Before the link is used up: a password that is refused costs no new mail.
    demandGoodPassword(given.password, email);
    const to = await passwords.hash(given.password);
    await db.transaction({ role: roles.accounts, userId }, async (trx) => {
      await actAs(trx, roles.self);
      await lockUser(trx, userId);
      // Before the audit chain, as everywhere: a logout of theirs holds a session and waits for the chain.
      const open = await lockOwnSessions(trx, userId);
      await actAs(trx, roles.accounts);
      if (!(await takeReset(trx, given.token))) throw new AppError('invalid_token');
      await replace(trx, { userId, email, requestId }, { to });
      await recordForPerson(trx, userId, { action: 'password.reset', requestId, detail: { ip: caller.ip } });
      const revocations = [{ kind: 'user', userId } as const];
      await endSessions(trx, userId, open, { reason: 'password_reset', requestId, revocations });
    });
  });
}
