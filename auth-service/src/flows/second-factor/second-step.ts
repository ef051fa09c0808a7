import type { KeyRing } from '../../domain/keys/key-ring.ts';
import { recoveryCodeHash } from '../../domain/second-factor/recovery-codes.ts';
import type { Transport } from '../../domain/sessions/session-rules.ts';
import { AppError } from '../../errors.ts';
import { appendAudit } from '../../store/audit/audit.ts';
import { roles } from '../../store/roles.ts';
import { becomeUser, enterTenant, type Trx } from '../../store/scope.ts';
import { lockTotp, rememberStep, takeRecoveryCode } from '../../store/second-factor/second-factors.ts';
import { findMfaHolder, takeStep } from '../../store/sessions/one-time-tokens.ts';
import { type Admission, type AdmitParts, admit, type Proven } from '../sessions/admit.ts';
import type { Caller } from '../sessions/grant.ts';
import { stepOf } from './second-factor.ts';

export type SecondStepParts = AdmitParts & Readonly<{ keks: KeyRing }>;

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
  caller: Caller,
): Promise<Admission> {
  let userId: string | undefined;
  return admit(
    parts,
    {
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
        if (proven === 'wrong_code') throw new AppError('invalid_code');
        if (proven !== undefined) given.mayUse(proven.transport);
        return proven;
      },
    },
    caller,
  );
}

async function verifyIn(
  trx: Trx,
  keks: KeyRing,
  { mfaToken, code }: Readonly<{ mfaToken: string; code: string }>,
  caller: Caller,
): Promise<Proven | 'wrong_code' | undefined> {
  const holder = await findMfaHolder(trx, mfaToken);
  if (holder === undefined) return undefined;
  const { userId, tenantId } = holder;
  await becomeUser(trx, userId);
  await enterTenant(trx, tenantId);
  const totp = await lockTotp(trx, userId);
  if (totp === undefined) return undefined;
  const step = await stepOf(trx, keks, { userId, totp, code });
  const byRecovery = step === undefined && (await takeRecoveryCode(trx, userId, recoveryCodeHash(code)));
  if (step === undefined && !byRecovery) return 'wrong_code';
  // Under the lock, the second of two concurrent requests finds that the token is gone, and uses up nothing.
  const taken = await takeStep(trx, mfaToken, 'mfa');
  if (taken === undefined) throw new AppError('invalid_mfa_token');
  if (step !== undefined) await rememberStep(trx, userId, step);
  if (byRecovery) {
    const { requestId } = caller;
    const event = { tenantId, userId, sessionId: null, requestId, detail: { ip: caller.ip } };
    await appendAudit(trx, { ...event, action: 'mfa.recovery_code_used' });
  }
  return { ...taken, amr: [...taken.amr, 'otp'], tenants: { id: tenantId } };
}
