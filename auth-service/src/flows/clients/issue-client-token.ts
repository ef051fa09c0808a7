import { hasKey } from '../../domain/clients/client-assertion.ts';
import { chooseScopes, type GrantType } from '../../domain/clients/client-rules.ts';
import type { ClientTokenInput } from '../../domain/sessions/access-token.ts';
import { AppError } from '../../errors.ts';
import { appendAudit } from '../../store/audit/audit.ts';
import { useSecret } from '../../store/clients/client-credentials.ts';
import { holdOAuthClient, markOAuthClientUsed, type OAuthClient } from '../../store/clients/clients.ts';
import type { AuthDatabase } from '../../store/database.ts';
import { roles } from '../../store/roles.ts';
import type { Trx } from '../../store/scope.ts';
import { issueTimeSec } from '../../store/sessions/revocations.ts';
import { holdActiveTenant } from '../../store/tenants/tenants.ts';
import type { Caller } from '../sessions/grant.ts';
import type { AuthenticatedOAuthClient } from './authenticate-client.ts';

export type IssueParts = Readonly<{
  db: AuthDatabase;
  /** The scopes that this installation defines (AUTH_SCOPES). */
  scopes: readonly string[];
}>;

/**
 * Returns the claims of a token for an OAuth client that acts on its own behalf (RFC 6749 section 4.4).
 *
 * @param asked The `scope` parameter. If undefined, the token has all scopes of the OAuth client.
 * @throws AppError `invalid_client`, `unauthorized_client`, `invalid_scope`.
 */
export function issueClientToken(
  { db, scopes: known }: IssueParts,
  authenticated: AuthenticatedOAuthClient,
  { asked, caller }: Readonly<{ asked: string | undefined; caller: Caller }>,
): Promise<ClientTokenInput> {
  const { tenantId, clientId, method } = authenticated;
  return db.transaction({ role: roles.app, tenantId }, async (trx) => {
    if (!(await holdActiveTenant(trx, tenantId))) throw new AppError('invalid_client');
    const oauthClient = await holdUsableOAuthClient(trx, authenticated, 'client_credentials');
    const allowed = oauthClient.scopes.filter((scope) => known.includes(scope));
    const scopes = chooseScopes(asked, allowed);
    if (scopes === undefined) throw new AppError('invalid_scope');
    const issuedAtSec = await issueTimeSec(trx, { tenantId, clientId });
    await appendAudit(trx, {
      tenantId,
      action: 'client.token_issued',
      userId: null,
      sessionId: null,
      requestId: caller.requestId,
      detail: { client_id: clientId, method, scopes, ip: caller.ip },
    });
    return { tenantId, clientId, scopes, issuedAtSec, jkt: caller.jkt };
  });
}

/**
 * Locks an OAuth client FOR SHARE and records its use. Checks again that it is active and still has the secret or key
 * that authenticated it.
 *
 * @throws AppError `invalid_client`, `unauthorized_client`.
 */
export async function holdUsableOAuthClient(
  trx: Trx,
  { tenantId, clientId, proof }: AuthenticatedOAuthClient,
  grantType: GrantType,
): Promise<OAuthClient> {
  await markOAuthClientUsed(trx, tenantId, clientId);
  const oauthClient = await holdOAuthClient(trx, tenantId, clientId);
  if (oauthClient === undefined || oauthClient.status !== 'active') throw new AppError('invalid_client');
  const holds =
    'secretId' in proof
      ? useSecret(trx, { tenantId, clientId }, proof.secretId)
      : hasKey(oauthClient.jwks, proof.keyThumbprint);
  if (!(await holds)) throw new AppError('invalid_client');
  if (!oauthClient.grant_types.includes(grantType)) throw new AppError('unauthorized_client');
  return oauthClient;
}
