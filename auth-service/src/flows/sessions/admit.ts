import { randomBytes } from 'node:crypto';
import type { Logger } from '@countersign/service-kit';
import type { KeyRing } from '../../domain/keys/key-ring.ts';
import { mfaLifetimeSec, selectionLifetimeSec, type Transport } from '../../domain/sessions/session-rules.ts';
import { AppError, type ErrorCode } from '../../errors.ts';
import type { Membership } from '../../store/accounts/accounts.ts';
import type { AuthDatabase } from '../../store/database.ts';
import { saveStep } from '../../store/sessions/one-time-tokens.ts';
import { recordRefusal, type Whose } from '../audit/record-refusal.ts';
import type { Caller, Grant } from './grant.ts';
import { type Proof, startSession } from './start-session.ts';
import { judge, type Reservation, type Throttle } from './throttle.ts';

export type AdmitParts = Readonly<{ db: AuthDatabase; throttle: Throttle; macKeys: KeyRing; logger: Logger }>;

/** A person whose identity is proven, and the tenants that they may enter. */
export type Proven = Proof &
  Readonly<{
    /** The tenant to enter, or the tenants to choose from. */
    tenants: readonly Membership[] | Readonly<{ id: string }>;
    transport: Transport;
    /** Runs after the session has started, or after the next step was requested. */
    onAdmitted?(): Promise<void>;
  }>;

export type Attempt = Readonly<{
  /** Counts the attempt as failed before anything is checked. */
  reserve(throttle: Throttle): Promise<Reservation>;
  /** @returns undefined if the proof failed. An AppError that blames the caller also counts as a failed attempt. */
  verify(): Promise<Proven | undefined>;
  /** The error code of every refusal. */
  refusal: ErrorCode;
  /** Who tried to log in, for audit entries about refusals. If undefined, no entry is written. */
  whose?(): Whose | undefined;
}>;

export type Admission =
  | Readonly<{ kind: 'granted'; grant: Grant; transport: Transport }>
  | Readonly<{ kind: 'choose'; selectionToken: string; tenants: readonly Membership[] }>
  | Readonly<{ kind: 'mfa'; mfaToken: string }>;

/**
 * Starts the session for every flow. The order is fixed: throttle, proof, tenant choice, account state, tenant and
 * membership, second factor, session.
 *
 * @throws AppError `attempt.refusal`, `too_many_attempts`, and any error from `verify`.
 */
export async function admit(parts: AdmitParts, attempt: Attempt, caller: Caller): Promise<Admission> {
  try {
    const reservation = await attempt.reserve(parts.throttle);
    const { admission, onAdmitted } = await judge(reservation, async () => {
      const proven = await attempt.verify();
      const admission = proven && (await proceed(parts, proven, caller));
      if (admission === undefined) throw new AppError(attempt.refusal);
      return { admission, onAdmitted: proven?.onAdmitted };
    });
    await onAdmitted?.();
    return admission;
  } catch (error) {
    const whose = attempt.whose?.();
    if (whose !== undefined && error instanceof AppError && failedLogins.has(error.code))
      recordRefusal(parts, { whose, code: error.code, caller });
    throw error;
  }
}

const failedLogins: ReadonlySet<ErrorCode> = new Set(['invalid_credentials', 'invalid_code', 'too_many_attempts']);

async function proceed(parts: AdmitParts, proven: Proven, caller: Caller): Promise<Admission | undefined> {
  const { userId, tenants, provenAt, amr, transport } = proven;
  const step = { userId, provenAt, amr, transport };
  if (Array.isArray(tenants) && tenants.length > 1) {
    const token = randomBytes(32).toString('base64url');
    await saveStep(parts.db, token, { ...step, purpose: 'tenant_selection', lifetimeSec: selectionLifetimeSec });
    return { kind: 'choose', selectionToken: token, tenants };
  }
  const tenantId = 'id' in tenants ? tenants.id : tenants[0]?.tenantId;
  if (tenantId === undefined) return undefined;
  const outcome = await startSession(parts, { ...step, tenantId, from: proven.from }, caller);
  if (outcome !== 'needs_mfa') return outcome && { kind: 'granted', grant: outcome, transport };
  const token = randomBytes(32).toString('base64url');
  await saveStep(parts.db, token, { ...step, tenantId, purpose: 'mfa', lifetimeSec: mfaLifetimeSec });
  return { kind: 'mfa', mfaToken: token };
}
