import { randomBytes } from 'node:crypto';
import { rowsWith } from '@countersign/database';
import { assertFreshLogin } from '@countersign/service-kit';
import type { KeyRing } from '../../domain/keys/key-ring.ts';
import type { FactorChange } from '../../domain/mail/mail-messages.ts';
import * as domain from '../../domain/second-factor/totp.ts';
import type { Transport } from '../../domain/sessions/session-rules.ts';
import { AppError } from '../../errors.ts';
import { lockUser } from '../../store/accounts/accounts.ts';
import { appendAudit } from '../../store/audit/audit.ts';
import * as store from '../../store/second-factor/second-factors.ts';
import { findMfaHolder, lockOwnSessions, takeStep } from '../../store/sessions/sessions.ts';
import {
  type AuthDatabase,
  actAs,
  becomeUser,
  databaseNow,
  enterTenant,
  roles,
  type Trx,
} from '../../store/transaction.ts';
import { orderMail } from '../mail/deliver.ts';
import { type Admission, type AdmitParts, admit, type Proven } from '../sessions/admit.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import type { InSession } from '../sessions/log-in.ts';
import { type HttpCaller, judge } from '../sessions/throttle.ts';

export type SecondStepParts = AdmitParts & Readonly<{ keks: KeyRing }>;

/** The current session, from the identity that the gateway signed. */
export type Asking = InSession &
  Pick<HttpCaller, 'requestId' | 'ip'> &
  Readonly<{
    /** When the person logged in, in Unix seconds. If undefined, the login counts as too old. */
    authTimeSec: number | undefined;
    amr: readonly string[];
  }>;

/** Has no effect until `confirmEnrolment`. @throws AppError `fresh_login_required`, `mfa_already_enabled`. */
export async function enrolTotp({ db, keks }: SecondStepParts, asking: Asking) {
  const { userId } = asking;
  return changing(db, asking, async (trx, totp) => {
    if (totp?.confirmed_at) throw new AppError('mfa_already_enabled');
    const secret = randomBytes(domain.totpSecretBytes);
    await store.savePendingTotp(trx, domain.sealSecret(secret, userId, keks));
    const user = await emailOf(trx, userId);
    return { secret: domain.base32(secret), otpauth_uri: domain.totpUri(secret, user.email_ci) };
  });
}

/**
 * Confirms the secret, so that every login requires a code.
 *
 * @returns Recovery codes, which are shown only once.
 * @throws AppError `fresh_login_required`, `mfa_not_enrolled`, `mfa_already_enabled`, `invalid_code`,
 *   `too_many_attempts`.
 */
export async function confirmEnrolment(parts: SecondStepParts, asking: Asking, code: string): Promise<string[]> {
  const { userId } = asking;
  // Checks this before counting the attempt, so that a stolen access token cannot use up the owner's attempts.
  await changing(parts.db, asking, async (_trx, totp) => pendingOf(totp));
  return judge(await parts.throttle.reserveCode(userId, asking.ip), () =>
    changing(parts.db, asking, async (trx, stored) => {
      const totp = pendingOf(stored);
      const step = await stepOf(trx, parts.keks, totp, code);
      if (step === undefined) throw new AppError('invalid_code');
      await store.rememberStep(trx, userId, step);
      await store.confirmTotp(trx, userId);
      const codes = await renewCodes(trx, userId);
      await finishChange(trx, asking, 'enabled');
      return codes;
    }),
  );
}

/** @throws AppError `mfa_not_enrolled`, `mfa_already_enabled`. */
function pendingOf(totp: store.StoredTotp | undefined): store.StoredTotp {
  if (totp === undefined) throw new AppError('mfa_not_enrolled');
  if (totp.confirmed_at) throw new AppError('mfa_already_enabled');
  return totp;
}

/**
 * Audits the change, emails the person, and ends their other sessions in all tenants, because a thief may have one of
 * those. Must be the last step of a transaction.
 */
async function finishChange(trx: Trx, asking: Asking, change: FactorChange): Promise<void> {
  const { userId, sessionId, requestId } = asking;
  const others = (await lockOwnSessions(trx, userId)).filter(({ id }) => id !== sessionId);
  const { email_ci: email } = await emailOf(trx, userId);
  await actAs(trx, roles.accounts);
  await orderMail(trx, userId, { kind: 'factor_changed', change, email, requestId });
  await actAs(trx, roles.self);
  await appendAudit(trx, { ...asking, action: `mfa.${change}` });
  await endSessions(trx, userId, others, { requestId, reason: `mfa_${change}` });
}

const emailOf = (trx: Trx, userId: string) =>
  rowsWith(trx, 'users', { id: userId }).select('email_ci').executeTakeFirstOrThrow();

/** Removes the second factor. @throws AppError `fresh_login_required`, `mfa_not_enrolled`. */
export async function removeTotp({ db }: SecondStepParts, asking: Asking): Promise<void> {
  await changing(db, asking, async (trx, totp) => {
    if (totp === undefined) throw new AppError('mfa_not_enrolled');
    await store.removeSecondFactor(trx, asking.userId);
    await finishChange(trx, asking, 'removed');
  });
}

/** Replaces all recovery codes. @throws AppError `fresh_login_required`, `mfa_not_enrolled`. */
export async function renewRecoveryCodes({ db }: SecondStepParts, asking: Asking): Promise<string[]> {
  return changing(db, asking, async (trx, totp) => {
    if (!totp?.confirmed_at) throw new AppError('mfa_not_enrolled');
    const codes = await renewCodes(trx, asking.userId);
    await finishChange(trx, asking, 'codes_renewed');
    return codes;
  });
}

export const readSecondFactor = ({ db }: SecondStepParts, userId: string) =>
  db.transaction({ role: roles.self, userId }, async (trx) => ({
    totp: Boolean((await store.lockTotp(trx, userId))?.confirmed_at),
    recovery_codes_left: await store.countRecoveryCodes(trx, userId),
  }));

/** Returns the step of a valid, unused code. The login calls this under a different database role. */
const stepOf = async (trx: Trx, keks: KeyRing, totp: store.StoredTotp, code: string): Promise<number | undefined> =>
  domain.matchTotp(domain.openSecret(totp, keks), code, { now: await databaseNow(trx), lastStep: totp.last_step });

/** Locks the user, so that a concurrent login waits. Requires a recent login with all factors. */
async function changing<T>(
  db: AuthDatabase,
  asking: Asking,
  change: (trx: Trx, totp: store.StoredTotp | undefined) => Promise<T>,
): Promise<T> {
  const { userId, tenantId } = asking;
  return db.transaction({ role: roles.self, userId, tenantId }, async (trx) => {
    await lockUser(trx, userId);
    const totp = await store.lockTotp(trx, userId);
    const isComplete = !totp?.confirmed_at || asking.amr.includes('otp');
    assertFreshLogin(isComplete ? asking.authTimeSec : undefined, await databaseNow(trx));
    return change(trx, totp);
  });
}

async function renewCodes(trx: Trx, userId: string): Promise<string[]> {
  const codes = domain.newRecoveryCodes();
  await store.replaceRecoveryCodes(trx, userId, codes.map(domain.recoveryCodeHash));
  return codes;
}

/**
 * Finishes a login with an authenticator code or a recovery code. After a wrong code the token stays valid, so that the
 * user can try again. The throttle limits the attempts.
 *
 * @param given.mayUse See `chooseTenant`.
 * @throws AppError `invalid_mfa_token`, `invalid_code`, `too_many_attempts`, and whatever `mayUse` throws.
 */
export async function showSecondFactor(
  parts: SecondStepParts,
  given: Readonly<{ mfaToken: string; code: string; mayUse(transport: Transport): void }>,
  caller: HttpCaller,
): Promise<Admission> {
  let userId: string | undefined;
  return admit(parts, caller, {
    refusal: 'invalid_mfa_token',
    whose: () => (userId === undefined ? undefined : { userId }),
    async reserve(throttle) {
      const holder = await parts.db.transaction({ role: roles.factors }, (trx) => findMfaHolder(trx, given.mfaToken));
      userId = holder?.userId;
      return userId === undefined ? throttle.reserveToken(caller.ip) : throttle.reserveCode(userId, caller.ip);
    },
    async verify() {
      const proven = await parts.db.transaction({ role: roles.factors }, (trx) =>
        verifyIn(trx, parts.keks, given, caller),
      );
      if (proven !== undefined) given.mayUse(proven.transport);
      return proven;
    },
  });
}

async function verifyIn(
  trx: Trx,
  keks: KeyRing,
  { mfaToken, code }: Readonly<{ mfaToken: string; code: string }>,
  caller: HttpCaller,
): Promise<Proven | undefined> {
  const holder = await findMfaHolder(trx, mfaToken);
  if (holder === undefined) return undefined;
  const { userId, tenantId } = holder;
  await becomeUser(trx, userId);
  await enterTenant(trx, tenantId);
  const totp = await store.lockTotp(trx, userId);
  if (totp === undefined) return undefined;
  const step = await stepOf(trx, keks, totp, code);
  const byRecovery = step === undefined && (await store.takeRecoveryCode(trx, userId, domain.recoveryCodeHash(code)));
  if (step === undefined && !byRecovery) throw new AppError('invalid_code');
  // Under the lock, the second of two concurrent requests finds that the token is gone, and uses up nothing.
  const taken = await takeStep(trx, mfaToken, 'mfa');
  if (taken === undefined) throw new AppError('invalid_mfa_token');
  if (step !== undefined) await store.rememberStep(trx, userId, step);
  if (byRecovery) {
    const event = { tenantId, userId, requestId: caller.requestId, detail: { ip: caller.ip } };
    await appendAudit(trx, { ...event, action: 'mfa.recovery_code_used' });
  }
  return { ...taken, amr: [...taken.amr, 'otp'], tenants: { id: tenantId } };
}
