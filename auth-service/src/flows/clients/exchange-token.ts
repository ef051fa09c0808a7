import { chooseScopes, tokenExchangeGrant } from '../../domain/clients/client-rules.ts';
import { hashSecret } from '../../domain/clients/client-secret.ts';
import type { DelegatedTokenInput } from '../../domain/sessions/access-token.ts';
import { accessTokenLifetimeSec } from '../../domain/sessions/session-rules.ts';
import { AppError } from '../../errors.ts';
import { lockHolder } from '../../store/accounts/accounts.ts';
import { appendAudit } from '../../store/audit/audit.ts';
import { type Delegation, findDelegation, holdDelegation } from '../../store/clients/delegations.ts';
import { roles } from '../../store/roles.ts';
import { becomeUser, type Trx } from '../../store/scope.ts';
import { issueTimeSec } from '../../store/sessions/revocations.ts';
import { holdSession } from '../../store/sessions/sessions.ts';
import type { Caller } from '../sessions/grant.ts';
import type { AuthenticatedOAuthClient } from './authenticate-client.ts';
import { holdUsableOAuthClient, type IssueParts } from './issue-client-token.ts';

export type TokenExchange = Readonly<{ subjectToken: string; asked: string | undefined; caller: Caller }>;

/**
 * Exchanges a delegation's subject token for an access token that lets the OAuth client act for the user (RFC 8693).
 * The access token has the user's current role and only delegated scopes. It expires no later than the delegation.
 *
 * @throws AppError `invalid_request` for an invalid subject token (RFC 8693 section 2.2.2), `invalid_client`,
 *   `unauthorized_client`, `invalid_scope`.
 */
export function exchangeToken(
  { db, scopes: known }: IssueParts,
  authenticated: AuthenticatedOAuthClient,
  { subjectToken, asked, caller }: TokenExchange,
): Promise<DelegatedTokenInput> {
  const { tenantId, clientId } = authenticated;
  return db.transaction({ role: roles.app, tenantId }, async (trx) => {
    const delegation = await findDelegation(trx, authenticated, hashSecret(subjectToken));
    if (delegation === undefined) throw invalidSubject();
    const holder = await holdPerson(trx, delegation);
    const oauthClient = await holdUsableOAuthClient(trx, authenticated, tokenExchangeGrant);
    const held = await holdDelegation(trx, delegation);
    if (held === undefined) throw invalidSubject();
    const allowed = delegation.scopes.filter((scope) => known.includes(scope) && oauthClient.scopes.includes(scope));
    const scopes = chooseScopes(asked, allowed);
    if (scopes === undefined || scopes.length === 0) throw new AppError('invalid_scope');
    const { user_id: userId, id: sessionId } = delegation;
    const issuedAtSec = await issueTimeSec(trx, { tenantId, userId, clientId });
    const lifetimeSec = Math.min(accessTokenLifetimeSec, held.expiresAtSec - issuedAtSec);
    if (lifetimeSec <= 0) throw invalidSubject();
    await appendAudit(trx, {
      ...{ tenantId, userId, sessionId: delegation.session_id, requestId: caller.requestId },
      action: 'delegation.used',
      detail: { delegation_id: sessionId, client_id: clientId, scopes, ip: caller.ip },
    });
    return { ...holder, tenantId, userId, clientId, sessionId, scopes, issuedAtSec, lifetimeSec, jkt: caller.jkt };
  });
}

/** Locks the person, their membership and their session, in this order. */
async function holdPerson(trx: Trx, delegation: Delegation) {
  const { tenant_id: tenantId, user_id: userId, session_id: sessionId } = delegation;
  await becomeUser(trx, userId);
  const holder = await lockHolder(trx, userId, tenantId);
  const session = await holdSession(trx, { tenantId, sessionId }, userId);
  if (holder?.active !== true || session === undefined) throw invalidSubject();
  return { role: holder.role, authTimeSec: Math.floor(session.authTime.getTime() / 1000), amr: session.amr };
}

const invalidSubject = () =>
  new AppError('invalid_request', {
    errors: [{ path: 'subject_token', message: 'The subject token is invalid, has expired, or was withdrawn.' }],
  });
