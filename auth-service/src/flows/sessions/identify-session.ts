import { decideRefresh } from '../../domain/sessions/refresh-decision.ts';
import { decodeRefreshToken } from '../../domain/sessions/refresh-token.ts';
import { AppError } from '../../errors.ts';
import { roles } from '../../store/roles.ts';
import { findSessionUser, lockSession } from '../../store/sessions/refresh-family.ts';
import type { SessionOwner } from './end-sessions.ts';
import { presentedTo, type RefreshParts } from './refresh.ts';

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
