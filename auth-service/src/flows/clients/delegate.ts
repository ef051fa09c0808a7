import { v7 as uuidv7 } from 'uuid';
import { maxDelegations, tokenExchangeGrant } from '../../domain/clients/client-rules.ts';
import { newSecret } from '../../domain/clients/client-secret.ts';
import { AppError } from '../../errors.ts';
import { lockHolder } from '../../store/accounts/accounts.ts';
import { appendAudit } from '../../store/audit/audit.ts';
import { holdOAuthClient, type OAuthClient } from '../../store/clients/clients.ts';
import { countDelegations, insertDelegation, revokeOwnDelegation } from '../../store/clients/delegations.ts';
import { appendRevocations } from '../../store/sessions/revocations.ts';
import { holdSession } from '../../store/sessions/sessions.ts';
import { type AuthDatabase, enterTenant, holdLock, roles, type Trx } from '../../store/transaction.ts';
import type { SessionOwner } from '../sessions/end-sessions.ts';
import type { InSession } from '../sessions/log-in.ts';
import type { HttpCaller } from '../sessions/throttle.ts';
import type { IssueParts } from './issue-token.ts';
import { assertScopes } from './manage-clients.ts';

/**
 * Lets an OAuth client in the user's tenant act for the user (RFC 8693) with these scopes. The delegation ends with the
 * user's session or after `lifetimeSec`.
 *
 * @returns `token` is the subject token for the OAuth client. It is shown only once.
 * @throws AppError `session_revoked`, `too_many_delegations`; `validation_failed` if the OAuth client cannot act for
 *   users, or lacks one of the scopes.
 */
export function delegate(
  { db, scopes: known }: IssueParts,
  { userId, tenantId, sessionId }: InSession,
  { clientId, scopes, lifetimeSec }: Readonly<{ clientId: string; scopes: readonly string[]; lifetimeSec: number }>,
  caller: HttpCaller,
) {
  return db.transaction({ role: roles.app, tenantId, userId }, async (trx) => {
    const holder = await lockHolder(trx, userId, tenantId);
    const session = await holdSession(trx, { tenantId, sessionId }, userId);
    if (holder?.active !== true || session === undefined || session.jkt !== caller.jkt)
      throw new AppError('session_revoked');
    const oauthClient = await holdAgent(trx, tenantId, clientId);
    const allowed = oauthClient.scopes.filter((scope) => known.includes(scope));
    assertScopes(scopes, allowed, 'is not an allowed scope for this OAuth client');
    // The locks above are shared. Without this exclusive lock, concurrent requests could exceed the limit.
    await holdLock(trx, 'delegations', userId);
    if ((await countDelegations(trx, tenantId, userId)) >= maxDelegations) throw new AppError('too_many_delegations');
    const { secret: token, hash } = newSecret('delegation');
    const ids = { id: uuidv7(), tenant_id: tenantId, user_id: userId, client_id: clientId, session_id: sessionId };
    const delegation = await insertDelegation(trx, { ...ids, scopes: [...scopes], token_hash: hash, lifetimeSec });
    const event = { tenantId, userId, sessionId, requestId: caller.requestId };
    const detail = {
      delegation_id: delegation.id,
      client_id: clientId,
      scopes,
      expires_in: lifetimeSec,
      ip: caller.ip,
    };
    await appendAudit(trx, { ...event, action: 'delegation.granted', detail });
    return { delegation: { ...delegation, client_name: oauthClient.name }, token };
  });
}

async function holdAgent(trx: Trx, tenantId: string, clientId: string): Promise<OAuthClient> {
  const oauthClient = await holdOAuthClient(trx, tenantId, clientId);
  if (oauthClient?.status === 'active' && oauthClient.grant_types.includes(tokenExchangeGrant)) return oauthClient;
  const message = 'is not an OAuth client in this tenant that can act for users';
  throw new AppError('validation_failed', { errors: [{ path: 'client_id', message }] });
}

/**
 * Withdraws a delegation, and revokes its subject token and access tokens in the same transaction. The user's session
 * and other delegations continue.
 *
 * @throws AppError `not_found`.
 */
export async function withdrawDelegation(
  db: AuthDatabase,
  { userId }: SessionOwner,
  id: string,
  requestId: string,
): Promise<void> {
  await db.transaction({ role: roles.self, userId }, async (trx) => {
    const withdrawn = await revokeOwnDelegation(trx, userId, id);
    if (withdrawn === undefined) throw new AppError('not_found');
    const { tenant_id: tenantId, client_id: clientId, session_id: sessionId } = withdrawn;
    await enterTenant(trx, tenantId);
    const event = { tenantId, userId, sessionId, requestId, detail: { delegation_id: id, client_id: clientId } };
    await appendAudit(trx, { ...event, action: 'delegation.withdrawn' });
    await appendRevocations(trx, [{ kind: 'session', sid: id, user_id: userId, tenant_id: tenantId }]);
  });
}
