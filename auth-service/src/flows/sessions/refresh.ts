import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Logger } from '@countersign/process-kit';
import { Counter, type Registry } from 'prom-client';
import type { KeyRing } from '../../domain/keys/key-ring.ts';
import { seal, successorKey, unseal } from '../../domain/keys/sealing.ts';
import { decideRefresh, type Presented, type RefreshDecision } from '../../domain/sessions/refresh-decision.ts';
import { decodeRefreshToken, encodeRefreshToken, type RefreshToken } from '../../domain/sessions/refresh-token.ts';
import type { EndReason } from '../../domain/sessions/session-rules.ts';
import { AppError, type ErrorCode } from '../../errors.ts';
import { lockHolder } from '../../store/accounts/accounts.ts';
import { findSessionUser, type LockedSession, lockSession, rotateSession } from '../../store/sessions/sessions.ts';
import { type AuthDatabase, becomeUser, roles, type Trx } from '../../store/transaction.ts';
import { type Grant, grantOf } from './admit.ts';
import { endSessions, type SessionOwner } from './end-sessions.ts';
import type { InSession } from './log-in.ts';
import type { HttpCaller } from './throttle.ts';

/** The outcomes of a refresh. */
const issuing = ['rotated', 'repeated'] as const;
const refusing = ['invalid', 'unbound', 'revoked', 'expired', 'inactive', 'reuse', 'ahead'] as const;

type Issuing = (typeof issuing)[number];
type Refusing = (typeof refusing)[number];

/** Called for every refresh. `session` is undefined for a token that we did not issue. */
type RefreshObserver = (outcome: Issuing | Refusing, session?: Readonly<{ session_id: string }>) => void;

export type RefreshParts = Readonly<{ db: AuthDatabase; macKeys: KeyRing; observe?: RefreshObserver }>;

/** A refusal is returned, because throwing in the transaction would undo the revocations. */
type Outcome =
  | Readonly<{ as: Issuing; grant: Grant }>
  | Readonly<{ as: Refusing; refused: ErrorCode; ended?: EndReason }>;

/**
 * Issues a new access token, and the refresh token that replaces the given one.
 *
 * @throws AppError `invalid_refresh_token`, `refresh_token_reused`, `session_expired`, `session_revoked`.
 */
export async function refresh(parts: RefreshParts, text: string, caller: HttpCaller): Promise<Grant> {
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

async function refreshIn(trx: Trx, macKeys: KeyRing, token: RefreshToken, caller: HttpCaller): Promise<Outcome> {
  const userId = await findSessionUser(trx, token.tenantId, token.sessionId);
  if (userId === undefined) return { as: 'invalid', refused: 'invalid_refresh_token' };
  await becomeUser(trx, userId);
  const holder = await lockHolder(trx, userId, token.tenantId);
  const session = await lockSession(trx, token);
  if (session === undefined) return { as: 'invalid', refused: 'invalid_refresh_token' };
  // Without its key, a stolen token cannot even end the session (RFC 9449 section 5).
  if (session.jkt !== null && session.jkt !== caller.jkt) return { as: 'unbound', refused: 'invalid_refresh_token' };

  const decision = decideRefresh({ ...session, holderActive: holder?.active ?? false }, presentedTo(session, token));
  if (decision.kind === 'refuse') {
    return { as: decision.code === 'session_revoked' ? 'revoked' : 'expired', refused: decision.code };
  }
  if (decision.kind === 'end' || holder === undefined) {
    const end = decision.kind === 'end' ? decision : ({ reason: 'inactive', code: 'session_revoked' } as const);
    const how = { reason: end.reason, requestId: caller.requestId };
    await endSessions(trx, userId, [{ id: token.sessionId, tenantId: token.tenantId }], how);
    return { as: end.reason, refused: end.code, ended: end.reason };
  }
  const next = await successorOf(trx, macKeys, token, session, { decision, caller });
  if (next === undefined) return { as: 'expired', refused: 'session_expired' };
  const { sessionId, tenantId } = token;
  const { clientId, authTime, amr, jkt } = session;
  const grant = await grantOf(trx, holder, { userId, tenantId, sessionId, clientId, authTime, amr, jkt }, next);
  return { as: decision.kind === 'rotate' ? 'rotated' : 'repeated', grant };
}

/** The token may be the current one, or the previous one, which can decrypt the current one. */
function presentedTo(session: LockedSession, token: RefreshToken): Presented {
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

async function successorOf(
  trx: Trx,
  macKeys: KeyRing,
  token: RefreshToken,
  session: LockedSession,
  { decision, caller }: { decision: Extract<RefreshDecision, { kind: 'rotate' | 'repeat' }>; caller: HttpCaller },
): Promise<Pick<Grant, 'refreshToken' | 'refreshExpiresInSec'> | undefined> {
  if (decision.kind === 'repeat') {
    return { refreshToken: decision.successor, refreshExpiresInSec: session.expiresInSec };
  }
  const random = randomBytes(32);
  const successor = encodeRefreshToken({ ...token, counter: token.counter + 1, random }, macKeys.current);
  const refreshExpiresInSec = await rotateSession(trx, token, {
    fromCounter: token.counter,
    token_hash: createHash('sha256').update(random).digest(),
    sealed_successor: seal(
      successorKey(token.random, token.sessionId),
      Buffer.from(successor, 'latin1'),
      sealContext(token),
    ),
    mac_kid: macKeys.current.id,
    ip: caller.ip,
    user_agent: caller.userAgent,
  });
  return refreshExpiresInSec === undefined ? undefined : { refreshToken: successor, refreshExpiresInSec };
}

/** Counts refresh outcomes, and logs an alarm if a token's MAC is valid but we never issued it. */
export function observeRefreshes(registry: Registry, logger: Logger): RefreshObserver {
  const counter = new Counter({
    name: 'auth_refreshes_total',
    help: 'Refreshes by outcome: rotated, repeated (a retry after a lost response), or the reason for a refusal. reuse, ahead and inactive also ended the session.',
    labelNames: ['outcome'],
    registers: [registry],
  });
  for (const outcome of [...issuing, ...refusing]) counter.inc({ outcome }, 0);
  return (outcome, session) => {
    counter.inc({ outcome });
    if (outcome !== 'ahead') return;
    // We never issued this counter: a MAC key has leaked, or the database was restored from a backup.
    logger.error({ alarm: 'refresh_token_ahead', ...session }, 'a refresh token has a valid MAC but was never issued');
  };
}

/** The session of a browser, with the person's role and state at this moment. */
export type BrowserSession = InSession &
  Readonly<{ email: string; role: string; slug: string; authTimeSec: number; amr: readonly string[] }>;

/**
 * Reads the session of a browser that navigates, and so sends only its cookie. The token stays valid.
 *
 * @returns undefined if the token cannot be refreshed, is bound to a key, or the person cannot use the tenant.
 */
export async function readBrowserSession(
  { db, macKeys }: RefreshParts,
  text: string,
): Promise<BrowserSession | undefined> {
  const token = decodeRefreshToken(text, macKeys);
  if (token === undefined) return undefined;
  const { tenantId, sessionId } = token;
  return db.transaction({ role: roles.app, tenantId }, async (trx) => {
    const userId = await findSessionUser(trx, tenantId, sessionId);
    if (userId === undefined) return undefined;
    await becomeUser(trx, userId);
    const holder = await lockHolder(trx, userId, tenantId);
    const session = await lockSession(trx, token);
    if (holder?.active !== true || session === undefined || session.jkt !== null) return undefined;
    const { kind } = decideRefresh({ ...session, holderActive: true }, presentedTo(session, token));
    if (kind !== 'rotate' && kind !== 'repeat') return undefined;
    const { email, role, slug } = holder;
    const authTimeSec = Math.floor(session.authTime.getTime() / 1000);
    return { userId, tenantId, sessionId, email, role, slug, authTimeSec, amr: session.amr };
  });
}

/**
 * Finds a refresh token's session, for a logout without an access token.
 *
 * @param jkt Thumbprint of the key whose DPoP proof the gateway verified.
 * @returns undefined if the session is gone. `current` tells whether the token can still be refreshed. An older token
 *   may be stolen, so it can end only its own session.
 * @throws AppError `invalid_refresh_token` if we never issued the token, or if the session is bound to another key:
 *   without its key, a stolen token cannot even end the session (RFC 9449 section 5).
 */
export async function identifySession(
  { db, macKeys }: RefreshParts,
  text: string,
  jkt: string | null,
): Promise<Readonly<{ owner: SessionOwner; current: boolean }> | undefined> {
  const token = decodeRefreshToken(text, macKeys);
  if (token === undefined)
    throw new AppError('invalid_refresh_token', { detail: { reason: 'not issued by this service' } });
  const { tenantId, sessionId } = token;
  return db.transaction({ role: roles.app, tenantId }, async (trx) => {
    const userId = await findSessionUser(trx, tenantId, sessionId);
    const session = await lockSession(trx, token);
    if (userId === undefined || session === undefined) return undefined;
    if (session.jkt !== null && session.jkt !== jkt) {
      throw new AppError('invalid_refresh_token', {
        detail: { reason: 'no DPoP proof for its key', session_id: sessionId },
      });
    }
    const { kind } = decideRefresh({ ...session, holderActive: true }, presentedTo(session, token));
    return { owner: { userId, sessionId }, current: kind === 'rotate' || kind === 'repeat' };
  });
}
