import { v7 as uuidv7 } from 'uuid';
import { type RegistrationMode, registrationLifetimeSec } from '../domain/account-rules.ts';
import { canonicalEmail } from '../domain/email.ts';
import { networkOf } from '../domain/network.ts';
import type { Passwords } from '../domain/passwords.ts';
import { AppError } from '../errors.ts';
import { insertAccount } from '../store/credentials.ts';
import type { AuthDatabase } from '../store/database.ts';
import { takeVerification } from '../store/mailed-tokens.ts';
import { findTenant } from '../store/members.ts';
import { dropRegistrations, findRegistration, insertRegistration } from '../store/registrations.ts';
import { roles } from '../store/roles.ts';
import { becomeUser, enterTenant, type Trx } from '../store/scope.ts';
import { demandGoodPassword } from './demand-good-password.ts';
import type { Caller } from './grant.ts';
import { joinTenant } from './join-tenant.ts';
import { orderMail } from './outbox-messages.ts';
import { recordForPerson, recordInTenant } from './record.ts';
import { judge, type Throttle } from './throttle.ts';

/** Who may make an account, and where newcomers belong. */
export type RegistrationRules = Readonly<{
  mode: RegistrationMode;
  /** The tenant that whoever registers joins, by its slug; undefined: none, until they are invited. */
  joins: Readonly<{ tenant: string; role: string }> | undefined;
}>;

export type RegisterParts = Readonly<{
  db: AuthDatabase;
  passwords: Passwords;
  throttle: Throttle;
  registration: RegistrationRules;
}>;

/**
 * Takes e-mail and password, and mails the rest. Nothing here looks whether the address is known: one bcrypt, one insert, always.
 * An account comes to be when its address is confirmed, so nobody can sit on somebody else's.
 *
 * @throws AppError `registration_off`, `validation_failed`, `too_many_attempts`, `login_busy`.
 */
export async function register(
  parts: RegisterParts,
  given: Readonly<{ email: string; password: string }>,
  caller: Caller,
): Promise<void> {
  if (parts.registration.mode === 'off') throw new AppError('registration_off');
  const email = canonicalEmail(given.email);
  demandGoodPassword(given.password, email);
  const request = { purpose: 'registration', email } as const;
  const mayMail = await parts.throttle.reserveMail(request, networkOf(caller.ip ?? undefined));
  const password = await parts.passwords.hash(given.password);
  if (!mayMail) return;
  const id = uuidv7();
  await parts.db.transaction({ role: roles.accounts }, async (trx) => {
    await insertRegistration(trx, { id, email, password }, registrationLifetimeSec);
    await orderMail(trx, id, { kind: 'registration', registrationId: id, requestId: caller.requestId });
  });
}

/** Mails the link once more, where somebody waits for it. @throws AppError `too_many_attempts`. */
export async function resendVerification(parts: RegisterParts, given: string, caller: Caller): Promise<void> {
  const email = canonicalEmail(given);
  const request = { purpose: 'verification', email } as const;
  if (!(await parts.throttle.reserveMail(request, networkOf(caller.ip ?? undefined)))) return;
  await parts.db.transaction({ role: roles.accounts }, (trx) =>
    orderMail(trx, uuidv7(), { kind: 'verification_again', email, requestId: caller.requestId }),
  );
}

/** Makes the account that a registration asked for. @throws AppError `invalid_token`, `too_many_attempts`. */
export async function verifyEmail(parts: RegisterParts, token: string, caller: Caller): Promise<void> {
  const reservation = await parts.throttle.reserveToken(networkOf(caller.ip ?? undefined));
  await judge(reservation, async () => {
    const made = await parts.db.transaction({ role: roles.accounts }, (trx) =>
      makeAccount(trx, parts.registration, token, caller.requestId),
    );
    if (!made) throw new AppError('invalid_token');
  });
}

async function makeAccount(trx: Trx, { joins }: RegistrationRules, token: string, requestId: string): Promise<boolean> {
  const registrationId = await takeVerification(trx, token);
  const registration = registrationId === undefined ? undefined : await findRegistration(trx, registrationId);
  if (registration === undefined) return false;
  const { email, password } = registration;
  const userId = uuidv7();
  await becomeUser(trx, userId);
  const isNew = await insertAccount(trx, { userId, email, password });
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
    throw new Error('somebody new belongs to a tenant already');
  }
  const event = { tenantId, userId, sessionId: null, requestId };
  await recordInTenant(trx, { ...event, action: 'account.created', detail: {} });
  await recordInTenant(trx, { ...event, action: 'member.joined', detail: { role, by: 'registration' } });
  return true;
}
