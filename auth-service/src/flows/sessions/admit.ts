import { createHash, randomBytes } from 'node:crypto';
import type { Logger } from '@countersign/process-kit';
import { v7 as uuidv7 } from 'uuid';
import type { KeyRing } from '../../domain/keys/key-ring.ts';
import type { AccessTokenInput } from '../../domain/sessions/access-token.ts';
import { encodeRefreshToken } from '../../domain/sessions/refresh-token.ts';
import {
  idleLifetimeSec,
  mfaLifetimeSec,
  selectionLifetimeSec,
  type Transport,
} from '../../domain/sessions/session-rules.ts';
import { AppError, type ErrorCode } from '../../errors.ts';
import { type Holder, lockHolder, type Membership } from '../../store/accounts/accounts.ts';
import { appendAudit } from '../../store/audit/audit.ts';
import { hasSecondFactor } from '../../store/second-factor/second-factors.ts';
import { issueTimeSec } from '../../store/sessions/revocations.ts';
import { holdSession, insertSession, type SessionKey, saveStep } from '../../store/sessions/sessions.ts';
import { type AuthDatabase, enterTenant, roles, type Trx } from '../../store/transaction.ts';
import { recordRefusal, type Whose } from '../audit/record.ts';
import { type HttpCaller, judge, type Reservation, type Throttle } from './throttle.ts';

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

export type LoginAttempt = Readonly<{
  /** Counts the attempt as failed before anything is checked. By default, only its address counts. */
  reserve?(throttle: Throttle): Promise<Reservation>;
  /** @returns undefined if the proof failed. An AppError that blames the caller also counts as a failed attempt. */
  verify(): Promise<Proven | undefined>;
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
export async function admit(parts: AdmitParts, caller: HttpCaller, attempt: LoginAttempt): Promise<Admission> {
  try {
    const { throttle } = parts;
    const reservation = await (attempt.reserve?.(throttle) ?? throttle.reserveToken(caller.ip));
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
      void recordRefusal(parts, { whose, code: error.code, caller });
    throw error;
  }
}

const failedLogins: ReadonlySet<ErrorCode> = new Set(['invalid_credentials', 'invalid_code', 'too_many_attempts']);

async function proceed(parts: AdmitParts, proven: Proven, caller: HttpCaller): Promise<Admission | undefined> {
  const { userId, tenants, provenAt, amr, transport } = proven;
  const step = { userId, provenAt, amr, transport };
  if (Array.isArray(tenants) && tenants.length > 1) {
    const choice = { ...step, purpose: 'tenant_selection', lifetimeSec: selectionLifetimeSec } as const;
    return { kind: 'choose', selectionToken: await saveStep(parts.db, choice), tenants };
  }
  const tenantId = 'id' in tenants ? tenants.id : tenants[0]?.tenantId;
  if (tenantId === undefined) return undefined;
  const outcome = await startSession(parts, { ...step, tenantId, from: proven.from }, caller);
  if (outcome !== 'needs_mfa') return outcome && { kind: 'granted', grant: outcome, transport };
  const question = { ...step, tenantId, purpose: 'mfa', lifetimeSec: mfaLifetimeSec } as const;
  return { kind: 'mfa', mfaToken: await saveStep(parts.db, question) };
}

/** The `client_id` in tokens of our own apps. */
const clientId = 'first-party';

/** How a person's identity was proven. */
export type Proof = Readonly<{
  userId: string;
  /** Becomes `auth_time`. On the database's clock, and later than the password: older logins are refused. */
  provenAt: Date;
  /** Authentication methods (RFC 8176). Without `otp`, a person with a second factor must enter a code. */
  amr: readonly string[];
  /** The session that serves as proof if no password was checked. It must not have ended. */
  from?: SessionKey | undefined;
}>;

type ProofInTenant = Proof & Readonly<{ tenantId: string }>;

/**
 * Creates a session, its first refresh token and an audit entry. Only `admit` calls this.
 *
 * @returns `needs_mfa` if the person has a second factor and did not use it. Undefined if the person cannot log in to
 *   this tenant, or the password was changed meanwhile.
 */
async function startSession(
  parts: Readonly<{ db: AuthDatabase; macKeys: KeyRing }>,
  proof: ProofInTenant,
  caller: HttpCaller,
): Promise<Grant | 'needs_mfa' | undefined> {
  const { userId, tenantId, provenAt, amr } = proof;
  const sessionId = uuidv7();
  const random = randomBytes(32);
  const { current } = parts.macKeys;
  return parts.db.transaction({ role: roles.app, tenantId, userId }, async (trx) => {
    const holder = await lockHolder(trx, userId, tenantId);
    if (holder === undefined || !holder.active) return undefined;
    if (!(await stillProves(trx, proof, holder.passwordChangedAt))) return undefined;
    if (!amr.includes('otp') && (await hasSecondFactor(trx, userId))) return 'needs_mfa';
    await insertSession(trx, {
      ...{ id: sessionId, tenant_id: tenantId, user_id: userId, client_id: clientId },
      ...{ token_hash: createHash('sha256').update(random).digest(), mac_kid: current.id },
      ...{ auth_time: provenAt, amr: [...amr], ip: caller.ip, user_agent: caller.userAgent, jkt: caller.jkt },
    });
    const session = { userId, tenantId, sessionId, clientId, authTime: provenAt, amr, jkt: caller.jkt };
    const refreshToken = encodeRefreshToken({ tenantId, sessionId, counter: 1, random }, current);
    const grant = await grantOf(trx, holder, session, { refreshToken, refreshExpiresInSec: idleLifetimeSec });
    const event = { tenantId, userId, sessionId, requestId: caller.requestId, detail: { ip: caller.ip, amr } };
    await appendAudit(trx, { ...event, action: 'session.started' });
    return grant;
  });
}

/**
 * A password change invalidates earlier logins, except the session that changed the password. Since the change ends all
 * other sessions, each remaining session either is newer or made the change.
 */
async function stillProves(
  trx: Trx,
  { userId, tenantId, provenAt, from }: ProofInTenant,
  passwordChangedAt: Date | undefined,
): Promise<boolean> {
  if (passwordChangedAt === undefined) return false;
  if (from === undefined) return passwordChangedAt < provenAt;
  await enterTenant(trx, from.tenantId);
  // A concurrent logout is either visible here, or waits and then also ends the new session.
  const session = await holdSession(trx, from, userId);
  await enterTenant(trx, tenantId);
  return session !== undefined;
}

/** The result of a login or refresh. The access token is signed later, outside the transaction. */
export type Grant = Readonly<{
  access: AccessTokenInput;
  refreshToken: string;
  refreshExpiresInSec: number;
  email: string;
  passwordChangedAt: Date | undefined;
  tenantSlug: string;
}>;

/** Creates the grant for a session. Call this while holding the locks on the session's holder. */
export async function grantOf(
  trx: Trx,
  { role, email, slug, passwordChangedAt }: Holder,
  {
    authTime,
    ...session
  }: Omit<AccessTokenInput, 'role' | 'issuedAtSec' | 'authTimeSec'> & Readonly<{ authTime: Date }>,
  refresh: Pick<Grant, 'refreshToken' | 'refreshExpiresInSec'>,
): Promise<Grant> {
  const { userId, tenantId } = session;
  const issuedAtSec = await issueTimeSec(trx, { userId, tenantId });
  const authTimeSec = Math.floor(authTime.getTime() / 1000);
  const access = { ...session, role, issuedAtSec, authTimeSec };
  return { access, ...refresh, email, passwordChangedAt, tenantSlug: slug };
}
