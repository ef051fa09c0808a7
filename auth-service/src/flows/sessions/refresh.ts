import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Logger } from '@countersign/service-kit';
import { Counter, type Registry } from 'prom-client';
import type { KeyRing } from '../../domain/keys/key-ring.ts';
import { seal, successorKey, unseal } from '../../domain/keys/sealing.ts';
import { type Decision, decideRefresh, type Presented } from '../../domain/sessions/refresh-decision.ts';
import { decodeRefreshToken, encodeRefreshToken, type RefreshToken } from '../../domain/sessions/refresh-token.ts';
import {
  type EndReason,
  graceSec,
  idleLifetimeSec,
  revocationInForceSec,
} from '../../domain/sessions/session-rules.ts';
import { AppError, type ErrorCode } from '../../errors.ts';
import { type Holder, lockHolder } from '../../store/accounts/accounts.ts';
import { appendAudit } from '../../store/audit/audit.ts';
import type { AuthDatabase } from '../../store/database.ts';
import { roles } from '../../store/roles.ts';
import { becomeUser, type Trx } from '../../store/scope.ts';
import {
  findSessionUser,
  type LockedSession,
  lockSession,
  rotateSession,
} from '../../store/sessions/refresh-family.ts';
import { appendRevocations, issueTimeSec } from '../../store/sessions/revocations.ts';
import { markRevoked } from '../../store/sessions/sessions.ts';
import type { Caller, Grant } from './grant.ts';

/** Outcomes of a refresh. The first two issue tokens; the rest are errors. */
export const refreshOutcomes = [
  'rotated',
  'repeated',
  'invalid',
  'unbound',
  'revoked',
  'expired',
  'inactive',
  'reuse',
  'ahead',
] as const;

export type RefreshOutcome = (typeof refreshOutcomes)[number];

/** Called for every refresh. `session` is absent for a token that we did not issue. */
export type RefreshObserver = (outcome: RefreshOutcome, session?: Readonly<{ session_id: string }>) => void;

export type RefreshParts = Readonly<{ db: AuthDatabase; macKeys: KeyRing; observe?: RefreshObserver }>;

/**
 * Errors are returned, not thrown, until the commit: throwing inside the transaction would undo the revocation of the
 * family.
 */
type Outcome =
  | Readonly<{ as: 'rotated' | 'repeated'; grant: Grant }>
  | Readonly<{ as: Exclude<RefreshOutcome, 'rotated' | 'repeated'>; refused: ErrorCode; ended?: EndReason }>;

/**
 * Refreshes a session: issues a new access token and the only successor of the given refresh token.
 *
 * @throws AppError `invalid_refresh_token`, `refresh_token_reused`, `session_expired`, `session_revoked`.
 */
export async function refresh(parts: RefreshParts, text: string, caller: Caller): Promise<Grant> {
  const token = decodeRefreshToken(text, parts.macKeys);
  if (token === undefined) {
    parts.observe?.('invalid');
    throw new AppError('invalid_refresh_token', { detail: { reason: 'not issued by this service' } });
  }
  const outcome = await parts.db.transaction({ role: roles.app, tenantId: token.tenantId }, (trx) =>
    refreshIn(trx, parts.macKeys, token, caller),
  );
  parts.observe?.(outcome.as, { session_id: token.sessionId });
  if ('grant' in outcome) return outcome.grant;
  const detail = { session_id: token.sessionId, ...(outcome.ended && { family_ended: outcome.ended }) };
  throw new AppError(outcome.refused, { detail });
}

async function refreshIn(trx: Trx, macKeys: KeyRing, token: RefreshToken, caller: Caller): Promise<Outcome> {
  const userId = await findSessionUser(trx, token.tenantId, token.sessionId);
  if (userId === undefined) return { as: 'invalid', refused: 'invalid_refresh_token' };
  await becomeUser(trx, userId);
  const holder = await lockHolder(trx, userId, token.tenantId);
  const session = await lockSession(trx, token, graceSec);
  if (session === undefined) return { as: 'invalid', refused: 'invalid_refresh_token' };
  // A stolen token without its key must not even end the session (RFC 9449 section 5).
  if (session.jkt !== null && session.jkt !== caller.jkt) return { as: 'unbound', refused: 'invalid_refresh_token' };

  const decision = decideRefresh({ ...session, holderActive: holder?.active ?? false }, presentedTo(session, token));
  if (decision.kind === 'refuse') {
    return { as: decision.code === 'session_revoked' ? 'revoked' : 'expired', refused: decision.code };
  }
  if (decision.kind === 'end' || holder === undefined) {
    const end = decision.kind === 'end' ? decision : ({ reason: 'inactive', code: 'session_revoked' } as const);
    await endFamily(trx, userId, token, { reason: end.reason, requestId: caller.requestId });
    return { as: end.reason, refused: end.code, ended: end.reason };
  }
  const next = await successorOf(trx, macKeys, token, session, { decision, caller });
  if (next === undefined) return { as: 'expired', refused: 'session_expired' };
  return {
    as: decision.kind === 'rotate' ? 'rotated' : 'repeated',
    grant: await grantOf(trx, { userId, token, session, holder, next }),
  };
}

/**
 * Compares the token with the session row. It may be the current token, or the previous one, which can unseal the
 * current one.
 */
export function presentedTo(session: LockedSession, token: RefreshToken): Presented {
  const hash = createHash('sha256').update(token.random).digest();
  const { tokenHash, sealedSuccessor } = session;
  const opened =
    sealedSuccessor === null
      ? undefined
      : unseal(successorKey(token.random, token.sessionId), sealedSuccessor, sealContext(token));
  return {
    counter: token.counter,
    hashMatches: timingSafeEqual(hash, tokenHash),
    successor: opened?.toString('latin1'),
  };
}

const sealContext = ({ sessionId, counter }: RefreshToken): string => `${sessionId} ${counter}`;

type Next = Readonly<{ refreshToken: string; expiresInSec: number }>;

async function successorOf(
  trx: Trx,
  macKeys: KeyRing,
  token: RefreshToken,
  session: LockedSession,
  { decision, caller }: { decision: Extract<Decision, { kind: 'rotate' | 'repeat' }>; caller: Caller },
): Promise<Next | undefined> {
  if (decision.kind === 'repeat') {
    return { refreshToken: decision.successor, expiresInSec: session.expiresInSec };
  }
  const random = randomBytes(32);
  const successor = encodeRefreshToken({ ...token, counter: token.counter + 1, random }, macKeys.current);
  const expiresInSec = await rotateSession(trx, token, {
    fromCounter: token.counter,
    idleLifetimeSec,
    tokenHash: createHash('sha256').update(random).digest(),
    sealedSuccessor: seal(
      successorKey(token.random, token.sessionId),
      Buffer.from(successor, 'latin1'),
      sealContext(token),
    ),
    macKeyId: macKeys.current.id,
    ip: caller.ip,
    userAgent: caller.userAgent,
  });
  return expiresInSec === undefined ? undefined : { refreshToken: successor, expiresInSec };
}

async function grantOf(
  trx: Trx,
  of: Readonly<{ userId: string; token: RefreshToken; session: LockedSession; holder: Holder; next: Next }>,
): Promise<Grant> {
  const { userId, token, session, holder, next } = of;
  return {
    access: {
      userId,
      tenantId: token.tenantId,
      role: holder.role,
      sessionId: token.sessionId,
      clientId: session.clientId,
      issuedAtSec: await issueTimeSec(trx, { userId, tenantId: token.tenantId }),
      authTimeSec: Math.floor(session.authTime.getTime() / 1000),
      amr: session.amr,
      jkt: session.jkt,
    },
    refreshToken: next.refreshToken,
    refreshExpiresInSec: next.expiresInSec,
    email: holder.email,
    tenantSlug: holder.slug,
  };
}

/**
 * Ends, audits and revokes the session in one transaction, so that the access tokens of a stolen family are revoked
 * too.
 */
async function endFamily(
  trx: Trx,
  userId: string,
  { tenantId, sessionId }: RefreshToken,
  { reason, requestId }: Readonly<{ reason: EndReason; requestId: string }>,
): Promise<void> {
  await markRevoked(trx, [sessionId], reason);
  await appendAudit(trx, { tenantId, action: 'session.ended', userId, sessionId, requestId, detail: { reason } });
  await appendRevocations(trx, [{ kind: 'session', sid: sessionId, userId, tenantId }], revocationInForceSec);
}

/** Counts refresh outcomes, and logs an alarm for a token that we cannot have issued. */
export function observeRefreshes(registry: Registry, logger: Logger): RefreshObserver {
  const counter = new Counter({
    name: 'auth_refreshes_total',
    help: 'Refreshes by outcome: rotated; repeated (after a lost response, within the grace period). All others were refused. reuse, ahead and inactive also ended the session.',
    labelNames: ['outcome'],
    registers: [registry],
  });
  for (const outcome of refreshOutcomes) counter.inc({ outcome }, 0);
  return (outcome, session) => {
    counter.inc({ outcome });
    if (outcome !== 'ahead') return;
    // A counter that was never issued: a MAC key has leaked, or the database was restored from a backup.
    logger.error({ alarm: 'refresh_token_ahead', ...session }, 'a refresh token has a valid MAC but was never issued');
  };
}
