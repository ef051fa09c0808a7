import { randomBytes } from 'node:crypto';
import { assertFreshLogin } from '@countersign/service-kit';
import type { KeyRing } from '../../domain/keys/key-ring.ts';
import { newRecoveryCodes, recoveryCodeHash } from '../../domain/second-factor/recovery-codes.ts';
import { base32, matchTotp, totpSecretBytes, totpUri } from '../../domain/second-factor/totp.ts';
import { AppError } from '../../errors.ts';
import { emailOf, lockUser } from '../../store/accounts/accounts.ts';
import { type AuditEvent, appendAudit } from '../../store/audit/audit.ts';
import { databaseNow } from '../../store/clock.ts';
import type { AuthDatabase } from '../../store/database.ts';
import { roles } from '../../store/roles.ts';
import type { Trx } from '../../store/scope.ts';
import {
  confirmTotp,
  countRecoveryCodes,
  lockTotp,
  rememberStep,
  removeSecondFactor,
  replaceRecoveryCodes,
  type StoredTotp,
  savePendingTotp,
} from '../../store/second-factor/second-factors.ts';
import { lockOwnSessions } from '../../store/sessions/sessions.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import { judge, type Throttle } from '../sessions/throttle.ts';
import { openSecret, sealSecret } from './totp-secret.ts';

export type FactorParts = Readonly<{ db: AuthDatabase; keks: KeyRing; throttle: Throttle }>;

/** The current session, from the identity that the gateway signed. */
export type Asking = Readonly<{
  userId: string;
  tenantId: string;
  sessionId: string;
  /** When the person logged in, in Unix seconds. If undefined, the login counts as too old. */
  authTimeSec: number | undefined;
  amr: readonly string[];
  requestId: string;
  ip: string | undefined;
}>;

export type Enrolment = Readonly<{ secret: string; uri: string }>;

/**
 * Creates a secret that has no effect until `confirm` accepts one of its codes.
 *
 * @throws AppError `fresh_login_required`, `mfa_already_enabled`.
 */
export async function enrolTotp({ db, keks }: FactorParts, asking: Asking): Promise<Enrolment> {
  const { userId } = asking;
  return changing(db, asking, async (trx, totp) => {
    if (totp?.confirmed) throw new AppError('mfa_already_enabled');
    const secret = randomBytes(totpSecretBytes);
    await savePendingTotp(trx, userId, sealSecret(secret, userId, keks));
    return { secret: base32(secret), uri: totpUri(secret, await emailOf(trx, userId)) };
  });
}

/**
 * Confirms the secret, so that every login requires a code. Ends the person's other sessions in all tenants, because
 * those logins had no code.
 *
 * @returns Recovery codes, which are shown only once.
 * @throws AppError `fresh_login_required`, `mfa_not_enrolled`, `mfa_already_enabled`, `invalid_code`,
 *   `too_many_attempts`.
 */
export async function confirmEnrolment(parts: FactorParts, asking: Asking, code: string): Promise<string[]> {
  const { userId } = asking;
  // Checks this before counting the attempt, so that a stolen access token cannot use up the owner's attempts.
  await changing(parts.db, asking, async (_trx, totp) => pendingOf(totp));
  const reservation = await parts.throttle.reserveCode(userId, asking.ip);
  return judge(reservation, () =>
    changing(parts.db, asking, async (trx, stored) => {
      const totp = pendingOf(stored);
      const step = await stepOf(trx, parts.keks, { userId, totp, code });
      if (step === undefined) throw new AppError('invalid_code');
      await rememberStep(trx, userId, step);
      await confirmTotp(trx, userId);
      const codes = await renewCodes(trx, userId);
      const others = (await lockOwnSessions(trx, userId)).filter(({ id }) => id !== asking.sessionId);
      await audit(trx, asking, 'mfa.enabled');
      await endSessions(trx, userId, others, { requestId: asking.requestId, reason: 'mfa_enabled', revocations: [] });
      return codes;
    }),
  );
}

/** @throws AppError `mfa_not_enrolled`, `mfa_already_enabled`. */
function pendingOf(totp: StoredTotp | undefined): StoredTotp {
  if (totp === undefined) throw new AppError('mfa_not_enrolled');
  if (totp.confirmed) throw new AppError('mfa_already_enabled');
  return totp;
}

/** Removes the second factor. Sessions continue. @throws AppError `fresh_login_required`, `mfa_not_enrolled`. */
export async function removeTotp({ db }: FactorParts, asking: Asking): Promise<void> {
  await changing(db, asking, async (trx, totp) => {
    if (totp === undefined) throw new AppError('mfa_not_enrolled');
    await removeSecondFactor(trx, asking.userId);
    await audit(trx, asking, 'mfa.removed');
  });
}

/** Replaces all recovery codes. Sessions continue. @throws AppError `fresh_login_required`, `mfa_not_enrolled`. */
export async function renewRecoveryCodes({ db }: FactorParts, asking: Asking): Promise<string[]> {
  return changing(db, asking, async (trx, totp) => {
    if (!totp?.confirmed) throw new AppError('mfa_not_enrolled');
    const codes = await renewCodes(trx, asking.userId);
    await audit(trx, asking, 'mfa.codes_renewed');
    return codes;
  });
}

export type FactorStatus = Readonly<{ enabled: boolean; recoveryCodesLeft: number }>;

export async function readSecondFactor({ db }: FactorParts, userId: string): Promise<FactorStatus> {
  return db.transaction({ role: roles.self, userId }, async (trx) => ({
    enabled: (await lockTotp(trx, userId))?.confirmed ?? false,
    recoveryCodesLeft: await countRecoveryCodes(trx, userId),
  }));
}

/** Returns the step of a valid, unused code. The login calls this under a different database role. */
export async function stepOf(
  trx: Trx,
  keks: KeyRing,
  { userId, totp, code }: Readonly<{ userId: string; totp: StoredTotp; code: string }>,
): Promise<number | undefined> {
  return matchTotp(openSecret({ userId, ...totp }, keks), code, {
    now: await databaseNow(trx),
    lastStep: totp.lastStep,
  });
}

/** Locks the user, so that a concurrent login waits. Requires a recent login with all factors. */
async function changing<T>(
  db: AuthDatabase,
  asking: Asking,
  change: (trx: Trx, totp: StoredTotp | undefined) => Promise<T>,
): Promise<T> {
  const { userId, tenantId } = asking;
  return db.transaction({ role: roles.self, userId, tenantId }, async (trx) => {
    await lockUser(trx, userId);
    const totp = await lockTotp(trx, userId);
    const isComplete = !totp?.confirmed || asking.amr.includes('otp');
    assertFreshLogin(isComplete ? asking.authTimeSec : undefined, await databaseNow(trx));
    return change(trx, totp);
  });
}

async function renewCodes(trx: Trx, userId: string): Promise<string[]> {
  const codes = newRecoveryCodes();
  await replaceRecoveryCodes(trx, userId, codes.map(recoveryCodeHash));
  return codes;
}

function audit(trx: Trx, asking: Asking, action: AuditEvent['action']): Promise<void> {
  const { tenantId, userId, sessionId, requestId } = asking;
  return appendAudit(trx, { tenantId, action, userId, sessionId, requestId, detail: {} });
}
