import { createHash, randomBytes } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import type { KeyRing } from '../../domain/keys/key-ring.ts';
import { encodeRefreshToken } from '../../domain/sessions/refresh-token.ts';
import { idleLifetimeSec } from '../../domain/sessions/session-rules.ts';
import { lockHolder } from '../../store/accounts/accounts.ts';
import { appendAudit } from '../../store/audit/audit.ts';
import type { AuthDatabase } from '../../store/database.ts';
import { roles } from '../../store/roles.ts';
import { enterTenant, type Trx } from '../../store/scope.ts';
import { hasSecondFactor } from '../../store/second-factor/second-factors.ts';
import { insertSession, type SessionKey } from '../../store/sessions/refresh-family.ts';
import { holdSession } from '../../store/sessions/sessions.ts';
import { type Caller, type Grant, grantOf } from './grant.ts';

/** The `client_id` in tokens of our own apps. */
const clientId = 'first-party';

/** How a person's identity was proven. */
export type Proof = Readonly<{
  userId: string;
  /**
   * Becomes `auth_time`, on the database's clock. It must be later than the password's `changed_at`, so that a login
   * with an older password is refused.
   */
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
export async function startSession(
  parts: Readonly<{ db: AuthDatabase; macKeys: KeyRing }>,
  proof: ProofInTenant,
  caller: Caller,
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
    await appendAudit(trx, {
      tenantId,
      action: 'session.started',
      userId,
      sessionId,
      requestId: caller.requestId,
      detail: { ip: caller.ip, amr },
    });
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
