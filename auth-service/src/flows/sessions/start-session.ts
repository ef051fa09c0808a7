import { createHash, randomBytes } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import type { KeyRing } from '../../domain/keys/key-ring.ts';
import { encodeRefreshToken } from '../../domain/sessions/refresh-token.ts';
import { absoluteLifetimeSec, idleLifetimeSec } from '../../domain/sessions/session-rules.ts';
import { lockHolder } from '../../store/accounts/accounts.ts';
import { appendAudit } from '../../store/audit/audit.ts';
import type { AuthDatabase } from '../../store/database.ts';
import { roles } from '../../store/roles.ts';
import { enterTenant, type Trx } from '../../store/scope.ts';
import { hasSecondFactor } from '../../store/second-factor/second-factors.ts';
import { insertSession, type SessionKey } from '../../store/sessions/refresh-family.ts';
import { issueTimeSec } from '../../store/sessions/revocations.ts';
import { holdSession } from '../../store/sessions/sessions.ts';
import type { Caller, Grant } from './grant.ts';

/** The client id of our own clients. Registered OAuth clients have their own ids. */
const clientId = 'first-party';

/** A person whose identity is proven. */
export type Proof = Readonly<{
  userId: string;
  tenantId: string;
  /** When the password was checked. */
  provenAt: Date;
  amr: readonly string[];
  /** The session that serves as proof instead of a login. It must still be live. */
  from?: SessionKey | undefined;
}>;

/**
 * Starts a session: its row, the first refresh token, and an audit entry. Only `admit` calls it.
 *
 * @returns `needs_mfa` when the person has a second factor and did not use it; undefined if the person may not log in
 * to this tenant, or the password was changed meanwhile.
 */
export async function startSession(
  parts: Readonly<{ db: AuthDatabase; macKeys: KeyRing }>,
  proof: Proof,
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
      id: sessionId,
      tenantId,
      userId,
      tokenHash: createHash('sha256').update(random).digest(),
      macKeyId: current.id,
      clientId,
      userAgent: caller.userAgent,
      ip: caller.ip,
      authTime: provenAt,
      amr,
      jkt: caller.jkt,
      idleLifetimeSec,
      absoluteLifetimeSec,
    });
    const issuedAtSec = await issueTimeSec(trx, { userId, tenantId });
    await appendAudit(trx, {
      tenantId,
      action: 'session.started',
      userId,
      sessionId,
      requestId: caller.requestId,
      detail: { ip: caller.ip, amr },
    });
    return {
      access: {
        userId,
        tenantId,
        role: holder.role,
        sessionId,
        clientId,
        issuedAtSec,
        authTimeSec: Math.floor(provenAt.getTime() / 1000),
        amr,
        jkt: caller.jkt,
      },
      refreshToken: encodeRefreshToken({ tenantId, sessionId, counter: 1, random }, current),
      refreshExpiresInSec: idleLifetimeSec,
      email: holder.email,
      tenantSlug: holder.slug,
    };
  });
}

/**
 * Changing the password invalidates proofs made with the old one, except in the session that changed it. The change
 * ends all other sessions, so every live session is newer than the change or made it.
 */
async function stillProves(trx: Trx, proof: Proof, passwordChangedAt: Date | undefined): Promise<boolean> {
  if (passwordChangedAt === undefined) return false;
  return proof.from === undefined ? passwordChangedAt < proof.provenAt : holdOrigin(trx, proof.from, proof);
}

/** A concurrent logout is either visible here, or waits and then ends the new session as well. */
async function holdOrigin(
  trx: Trx,
  from: SessionKey,
  { userId, tenantId }: Readonly<{ userId: string; tenantId: string }>,
): Promise<boolean> {
  await enterTenant(trx, from.tenantId);
  const session = await holdSession(trx, from, userId);
  await enterTenant(trx, tenantId);
  return session !== undefined;
}
