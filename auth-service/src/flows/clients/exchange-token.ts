import { chooseScopes } from '../../domain/clients/client-rules.ts';
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
import type { AuthenticatedClient } from './authenticate-client.ts';
import { holdUsableClient, type IssueParts } from './issue-client-token.ts';

export type TokenExchange = Readonly<{ subjectToken: string; asked: string | undefined; caller: Caller }>;

/**
 * Exchanges a user's consent for an access token with which the client acts for them (RFC 8693). The token has the
 * user's current role, only scopes that they consented to, and expires no later than the consent.
 *
 * @throws AppError `invalid_request` for an invalid consent (RFC 8693 section 2.2.2), `invalid_client`,
 *   `unauthorized_client`, `invalid_scope`.
 */
export function exchangeToken(
  { db, scopes: known }: IssueParts,
  authenticated: AuthenticatedClient,
  { subjectToken, asked, caller }: TokenExchange,
): Promise<DelegatedTokenInput> {
  const { tenantId, clientId } = authenticated;
  return db.transaction({ role: roles.app, tenantId }, async (trx) => {
    const delegation = await findDelegation(trx, authenticated, hashSecret(subjectToken));
    if (delegation === undefined) throw invalidSubject();
    const holder = await holdPerson(trx, delegation);
    const client = await holdUsableClient(trx, authenticated, 'urn:ietf:params:oauth:grant-type:token-exchange');
    const held = await holdDelegation(trx, delegation);
    if (held === undefined) throw invalidSubject();
    const allowed = delegation.scopes.filter((scope) => known.includes(scope) && client.scopes.includes(scope));
    const scopes = chooseScopes(asked, allowed);
    if (scopes === undefined || scopes.length === 0) throw new AppError('invalid_scope');
    const { userId, id: sessionId } = delegation;
    const issuedAtSec = await issueTimeSec(trx, { tenantId, userId, clientId });
    const lifetimeSec = Math.min(accessTokenLifetimeSec, held.expiresAtSec - issuedAtSec);
    if (lifetimeSec <= 0) throw invalidSubject();
    await appendAudit(trx, {
      ...{ tenantId, userId, sessionId: delegation.sessionId, requestId: caller.requestId },
      action: 'delegation.used',
      detail: { delegation_id: sessionId, client_id: clientId, scopes, ip: caller.ip },
    });
    return { ...holder, tenantId, userId, clientId, sessionId, scopes, issuedAtSec, lifetimeSec, jkt: caller.jkt };
  });
}

/** Locks the person, their membership and their session, in this order. */
async function holdPerson(trx: Trx, { tenantId, userId, sessionId }: Delegation) {
  await becomeUser(trx, userId);
  const holder = await lockHolder(trx, userId, tenantId);
  const session = await holdSession(trx, { tenantId, sessionId }, userId);
  if (holder?.active !== true || session === undefined) throw invalidSubject();
  return { role: holder.role, authTimeSec: Math.floor(session.authTime.getTime() / 1000), amr: session.amr };
}

const invalidSubject = () =>
  new AppError('invalid_request', {
    errors: [
      {
        path: 'subject_token',
        message: 'The subject token is not valid for this client, has expired, or was withdrawn.',
      },
    ],
  });
