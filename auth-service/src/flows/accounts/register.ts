import { insert, remove } from '@countersign/database';
import { v7 as uuidv7 } from 'uuid';
import { canonicalEmail, type RegistrationMode, registrationLifetimeSec } from '../../domain/accounts/account-rules.ts';
import { assertGoodPassword } from '../../domain/accounts/password-policy.ts';
import type { StoredPassword } from '../../domain/accounts/passwords.ts';
import { AppError } from '../../errors.ts';
import { insertAccount } from '../../store/accounts/accounts.ts';
import { findVerification, takeToken } from '../../store/mail/mailed-tokens.ts';
import { findTenant } from '../../store/tenants/tenants.ts';
import { type AuthDatabase, becomeUser, enterTenant, inSeconds, roles, type Trx } from '../../store/transaction.ts';
import { recordForPerson, recordInTenant } from '../audit/record.ts';
import { orderMail } from '../mail/deliver.ts';
import { type HttpCaller, judge, turnOf } from '../sessions/throttle.ts';
import { joinTenant } from '../tenants/members.ts';
import type { PasswordParts } from './passwords.ts';

export type RegistrationRules = Readonly<{
  mode: RegistrationMode;
  /** If undefined, new accounts have no tenant until they accept an invitation. */
  joins: Readonly<{ tenant: string; role: string }> | undefined;
}>;

export type RegisterParts = PasswordParts & Readonly<{ registration: RegistrationRules }>;

/**
 * Stores a registration and queues an email with a link. It never checks whether the address has an account, so that
 * the response time reveals nothing. The person who receives the link chooses the password and creates the account with
 * `verifyEmail`.
 *
 * @throws AppError `registration_off`, `too_many_attempts`.
 */
export async function register(parts: RegisterParts, given: string, caller: HttpCaller): Promise<void> {
  if (parts.registration.mode === 'off') throw new AppError('registration_off');
  const email = canonicalEmail(given);
  if (!(await parts.throttle.reserveMail({ purpose: 'registration', email }, caller.ip))) return;
  const id = uuidv7();
  await parts.db.transaction({ role: roles.accounts }, async (trx) => {
    await insert(trx, 'registrations', { id, email_ci: email, expires_at: inSeconds(registrationLifetimeSec) });
    await orderMail(trx, id, { kind: 'registration', registrationId: id, requestId: caller.requestId });
  });
}

/**
 * Queues an email with a link to choose a new password, or to confirm an address again while its registration is
 * pending. The account is looked up only when the email is built, so that the response time reveals nothing.
 *
 * @throws AppError `too_many_attempts`.
 */
export async function requestLink(
  { db, throttle }: PasswordParts,
  kind: 'verification_again' | 'password_reset',
  given: string,
  caller: HttpCaller,
): Promise<void> {
  const email = canonicalEmail(given);
  if (!(await throttle.reserveMail({ purpose: kind, email }, caller.ip))) return;
  await db.transaction({ role: roles.accounts }, (trx) =>
    orderMail(trx, uuidv7(), { kind, email, requestId: caller.requestId }),
  );
}

/** The link stays valid: mail scanners also open links. @throws AppError `invalid_token`, `too_many_attempts`. */
export const readVerification = async ({ db, throttle }: PasswordParts, token: string, caller: HttpCaller) =>
  judge(await throttle.reserveToken(caller.ip), () => confirmedBy(db, token));

/** @throws AppError `invalid_token` */
async function confirmedBy(db: AuthDatabase, token: string): Promise<string> {
  const email = await db.transaction({ role: roles.accounts }, (trx) => findVerification(trx, token));
  if (email === undefined) throw new AppError('invalid_token');
  return email;
}

/**
 * Uses up a link and creates its account, in one transaction. The link's recipient chooses the password, not the person
 * who registered the address.
 *
 * @returns The address.
 * @throws AppError `invalid_token`, `validation_failed`, `too_many_attempts`, `login_busy`.
 */
export async function verifyEmail(
  { db, passwords, throttle, registration }: RegisterParts,
  given: Readonly<{ token: string; password: string; name?: string | undefined }>,
  caller: HttpCaller,
): Promise<string> {
  const { token, name } = given;
  return judge(await throttle.reserveToken(caller.ip), async () => {
    const email = await confirmedBy(db, token);
    // Checked before the link is used up, so that a refused password does not require a new email.
    assertGoodPassword(given.password, email);
    const password = await passwords.hash(given.password, turnOf(caller));
    const made = await db.transaction({ role: roles.accounts }, (trx) =>
      makeAccount(trx, registration, { token, email, password, name, requestId: caller.requestId }),
    );
    if (!made) throw new AppError('invalid_token');
    return email;
  });
}

type Confirmed = Readonly<{
  token: string;
  email: string;
  password: StoredPassword;
  name: string | undefined;
  requestId: string;
}>;

/** @returns false if the address already has an account. */
async function makeAccount(
  trx: Trx,
  { joins }: RegistrationRules,
  { token, email, password, name, requestId }: Confirmed,
): Promise<boolean> {
  const userId = uuidv7();
  await becomeUser(trx, userId);
  // Inserts the account first, as `acceptInvitation` does, so that two links to one address cannot deadlock.
  const isNew = await insertAccount(trx, { userId, email, password });
  if (isNew && !(await takeToken(trx, token, 'email_verification'))) throw new AppError('invalid_token');
  // Also deletes their emailed tokens.
  await remove(trx, 'registrations', { email_ci: email });
  if (!isNew) return false;
  const tenantId = joins === undefined ? undefined : await findTenant(trx, joins.tenant);
  if (joins === undefined || tenantId === undefined) {
    await recordForPerson(trx, userId, { action: 'account.created', requestId });
    return true;
  }
  const { role } = joins;
  await enterTenant(trx, tenantId);
  if (!(await joinTenant(trx, { tenantId, userId, email, role, name }))) {
    throw new Error('a new account already belongs to a tenant');
  }
  const event = { tenantId, userId, requestId };
  await recordInTenant(trx, { ...event, action: 'account.created' });
  await recordInTenant(trx, { ...event, action: 'member.joined', detail: { role, by: 'registration' } });
  return true;
}
