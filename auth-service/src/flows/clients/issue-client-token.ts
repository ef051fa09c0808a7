import { hasKey } from '../../domain/clients/client-assertion.ts';
import type { GrantType } from '../../domain/clients/client-rules.ts';
import { chooseScopes } from '../../domain/clients/client-rules.ts';
import type { ClientTokenInput } from '../../domain/sessions/access-token.ts';
import { AppError } from '../../errors.ts';
import { appendAudit } from '../../store/audit/audit.ts';
import { useSecret } from '../../store/clients/client-credentials.ts';
import { type Client, holdClient, markClientUsed } from '../../store/clients/clients.ts';
import type { AuthDatabase } from '../../store/database.ts';
import { roles } from '../../store/roles.ts';
import type { Trx } from '../../store/scope.ts';
import { issueTimeSec } from '../../store/sessions/revocations.ts';
import { holdActiveTenant } from '../../store/tenants/tenants.ts';
import type { Caller } from '../sessions/grant.ts';
import type { AuthenticatedClient } from './authenticate-client.ts';

export type IssueParts = Readonly<{
  db: AuthDatabase;
  /** The scopes that this installation defines (AUTH_SCOPES). */
  scopes: readonly string[];
}>;

/**
 * The token of a client that acts on its own behalf (RFC 6749 section 4.4).
 *
 * @param asked The `scope` parameter; without it, all scopes of the client.
 * @throws AppError `invalid_client`, `unauthorized_client`, `invalid_scope`.
 */
export function issueClientToken(
  { db, scopes: known }: IssueParts,
  authenticated: AuthenticatedClient,
  { asked, caller }: Readonly<{ asked: string | undefined; caller: Caller }>,
): Promise<ClientTokenInput> {
  const { tenantId, clientId, method } = authenticated;
  return db.transaction({ role: roles.app, tenantId }, async (trx) => {
    if (!(await holdActiveTenant(trx, tenantId))) throw new AppError('invalid_client');
    const client = await holdUsableClient(trx, authenticated, 'client_credentials');
    const scopes = chooseScopes(
      asked,
      client.scopes.filter((scope) => known.includes(scope)),
    );
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
 * Locks a client FOR SHARE and records its use. Since it authenticated, it may have been disabled, or its secret or key
 * removed.
 *
 * @throws AppError `invalid_client`, `unauthorized_client`.
 */
export async function holdUsableClient(
  trx: Trx,
  { tenantId, clientId, proof }: AuthenticatedClient,
  grantType: GrantType,
): Promise<Client> {
  await markClientUsed(trx, tenantId, clientId);
  const client = await holdClient(trx, tenantId, clientId);
  if (client === undefined || client.status !== 'active') throw new AppError('invalid_client');
  const holds = 'secretId' in proof ? useSecret(trx, client, proof.secretId) : hasKey(client.keys, proof.keyThumbprint);
  if (!(await holds)) throw new AppError('invalid_client');
  if (!client.grantTypes.includes(grantType)) throw new AppError('unauthorized_client');
  return client;
}
