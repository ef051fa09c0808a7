import { v7 as uuidv7 } from 'uuid';
import { type RegistrationMode, registrationLifetimeSec } from '../../domain/accounts/account-rules.ts';
import { canonicalEmail } from '../../domain/accounts/email.ts';
import type { Passwords } from '../../domain/accounts/passwords.ts';
import { AppError } from '../../errors.ts';
import { insertAccount, type StoredPassword } from '../../store/accounts/credentials.ts';
import { dropRegistrations, insertRegistration } from '../../store/accounts/registrations.ts';
import type { AuthDatabase } from '../../store/database.ts';
import { findVerification, takeVerification } from '../../store/mail/mailed-tokens.ts';
import { roles } from '../../store/roles.ts';
import { becomeUser, enterTenant, type Trx } from '../../store/scope.ts';
import { findTenant } from '../../store/tenants/members.ts';
import { recordForPerson, recordInTenant } from '../audit/record.ts';
import { orderMail } from '../mail/outbox-messages.ts';
import type { Caller } from '../sessions/grant.ts';
import { judge, type Throttle } from '../sessions/throttle.ts';
import { joinTenant } from '../tenants/join-tenant.ts';
import { assertGoodPassword } from './assert-good-password.ts';

/** Registration mode, and the tenant and role of new accounts. */
export type RegistrationRules = Readonly<{
  mode: RegistrationMode;
  /** The slug of the tenant that new accounts join. If undefined, they have no tenant until they are invited. */
  joins: Readonly<{ tenant: string; role: string }> | undefined;
}>;

export type RegisterParts = Readonly<{
  db: AuthDatabase;
  passwords: Passwords;
  throttle: Throttle;
  registration: RegistrationRules;
}>;

/**
 * Stores an address and queues an email with a link. It always does one insert and no bcrypt, and never checks whether
 * the address is known. The person who receives the link chooses the password and creates the account: see `verifyEmail`.
 *
 * @throws AppError `registration_off`, `too_many_attempts`.
 */
export async function register(parts: RegisterParts, given: string, caller: Caller): Promise<void> {
  if (parts.registration.mode === 'off') throw new AppError('registration_off');
  const email = canonicalEmail(given);
  const request = { purpose: 'registration', email } as const;
  if (!(await parts.throttle.reserveMail(request, caller.ip))) return;
  const id = uuidv7();
  await parts.db.transaction({ role: roles.accounts }, async (trx) => {
    await insertRegistration(trx, { id, email }, registrationLifetimeSec);
    await orderMail(trx, id, { kind: 'registration', registrationId: id, requestId: caller.requestId });
  });
}

/** Queues the confirmation email again, if a registration is pending. @throws AppError `too_many_attempts`. */
export async function resendVerification(parts: RegisterParts, given: string, caller: Caller): Promise<void> {
  const email = canonicalEmail(given);
  const request = { purpose: 'verification', email } as const;
  if (!(await parts.throttle.reserveMail(request, caller.ip))) return;
  await parts.db.transaction({ role: roles.accounts }, (trx) =>
    orderMail(trx, uuidv7(), { kind: 'verification_again', email, requestId: caller.requestId }),
  );
}

/**
 * Returns the address that a link confirms. The link stays valid, because mail scanners open links too.
 *
 * @throws AppError `invalid_token`, `too_many_attempts`.
 */
export async function readVerification(
  { db, throttle }: Pick<RegisterParts, 'db' | 'throttle'>,
  token: string,
  caller: Caller,
): Promise<string> {
  const reservation = await throttle.reserveToken(caller.ip);
  return judge(reservation, () => confirmedBy(db, token));
}

/** @throws AppError `invalid_token` */
async function confirmedBy(db: AuthDatabase, token: string): Promise<string> {
  const email = await db.transaction({ role: roles.accounts }, (trx) => findVerification(trx, token));
  if (email === undefined) throw new AppError('invalid_token');
  return email;
}

/**
 * Creates the account of a registration with a password that the link's recipient chooses. The client that registered
 * the address never sets one. The same transaction creates the account and uses up the link.
 *
 * @throws AppError `invalid_token`, `validation_failed`, `too_many_attempts`, `login_busy`.
 */
export async function verifyEmail(
  { db, passwords, throttle, registration }: RegisterParts,
  given: Readonly<{ token: string; password: string }>,
  caller: Caller,
): Promise<void> {
  const { token } = given;
  const reservation = await throttle.reserveToken(caller.ip);
  await judge(reservation, async () => {
    const email = await confirmedBy(db, token);
    // Checked before the link is used up, so that a refused password does not require a new email.
    assertGoodPassword(given.password, email);
    const password = await passwords.hash(given.password);
    const made = await db.transaction({ role: roles.accounts }, (trx) =>
      makeAccount(trx, registration, { token, email, password, requestId: caller.requestId }),
    );
    if (!made) throw new AppError('invalid_token');
  });
}

type Confirmed = Readonly<{ token: string; email: string; password: StoredPassword; requestId: string }>;

/** @returns false if the address already has an account. */
async function makeAccount(
  trx: Trx,
  { joins }: RegistrationRules,
  { token, email, password, requestId }: Confirmed,
): Promise<boolean> {
  const userId = uuidv7();
  await becomeUser(trx, userId);
  // Taken first, as when accepting an invitation, so that two links to one address cannot deadlock.
  const isNew = await insertAccount(trx, { userId, email, password });
  if (isNew && !(await takeVerification(trx, token))) throw new AppError('invalid_token');
  await dropRegistrations(trx, email);
  if (!isNew) return false;
  const tenantId = joins === undefined ? undefined : await findTenant(trx, joins.tenant);
  if (joins === undefined || tenantId === undefined) {
    await recordForPerson(trx, userId, { action: 'account.created', requestId, detail: {} });
    return true;
  }
  const { role } = joins;
  await enterTenant(trx, tenantId);
  if (!(await joinTenant(trx, { tenantId, userId, email, role }))) {
    throw new Error('a new account already belongs to a tenant');
  }
  const event = { tenantId, userId, sessionId: null, requestId };
  await recordInTenant(trx, { ...event, action: 'account.created', detail: {} });
  await recordInTenant(trx, { ...event, action: 'member.joined', detail: { role, by: 'registration' } });
  return true;
}
