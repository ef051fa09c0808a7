import { v7 as uuidv7 } from 'uuid';
import { newSecret } from '../../domain/clients/client-secret.ts';
import { maxDelegations } from '../../domain/clients/delegation-token.ts';
import { revocationInForceSec } from '../../domain/sessions/session-rules.ts';
import { AppError } from '../../errors.ts';
import { lockHolder } from '../../store/accounts/accounts.ts';
import { appendAudit } from '../../store/audit/audit.ts';
import { type Client, holdClient } from '../../store/clients/clients.ts';
import {
  countDelegations,
  type Delegation,
  insertDelegation,
  revokeOwnDelegation,
} from '../../store/clients/delegations.ts';
import type { AuthDatabase } from '../../store/database.ts';
import { holdLock } from '../../store/locks.ts';
import { roles } from '../../store/roles.ts';
import { enterTenant, type Trx } from '../../store/scope.ts';
import { appendRevocations } from '../../store/sessions/revocations.ts';
import { holdSession } from '../../store/sessions/sessions.ts';
import type { SessionOwner } from '../sessions/end-sessions.ts';
import type { Caller } from '../sessions/grant.ts';
import type { InSession } from '../sessions/switch-tenant.ts';

export type DelegateParts = Readonly<{ db: AuthDatabase; scopes: readonly string[] }>;

export type Consent = Readonly<{ clientId: string; scopes: readonly string[]; lifetimeSec: number }>;

/** `token` is the subject token for the client; it is shown only once. */
export type GrantedDelegation = Readonly<{ delegation: Delegation; clientName: string; token: string }>;

/**
 * Lets a client of the user's tenant act for the user (RFC 8693) with these scopes, for this time, but never beyond the
 * session in which the user consented.
 *
 * @throws AppError `session_revoked`, `too_many_delegations`; `validation_failed` if the client cannot act for users,
 *   or lacks one of the scopes.
 */
export function delegate(
  { db, scopes: known }: DelegateParts,
  { userId, tenantId, sessionId }: InSession,
  { clientId, scopes, lifetimeSec }: Consent,
  caller: Caller,
): Promise<GrantedDelegation> {
  return db.transaction({ role: roles.app, tenantId, userId }, async (trx) => {
    const holder = await lockHolder(trx, userId, tenantId);
    const session = await holdSession(trx, { tenantId, sessionId }, userId);
    if (holder?.active !== true || session === undefined || session.jkt !== caller.jkt)
      throw new AppError('session_revoked');
    const client = await holdAgent(trx, tenantId, clientId);
    assertScopes(
      scopes,
      client.scopes.filter((scope) => known.includes(scope)),
    );
    // The locks above are shared. Without this exclusive one, concurrent consents would all see the same count.
    await holdLock(trx, 'delegations', userId);
    if ((await countDelegations(trx, tenantId, userId)) >= maxDelegations) throw new AppError('too_many_delegations');
    const { secret: token, hash } = newSecret('delegation');
    const wanted = { id: uuidv7(), tenantId, userId, clientId, sessionId, scopes, tokenHash: hash, lifetimeSec };
    const delegation = await insertDelegation(trx, wanted);
    await appendAudit(trx, {
      ...{ tenantId, userId, sessionId, requestId: caller.requestId },
      action: 'delegation.granted',
      detail: { delegation_id: delegation.id, client_id: clientId, scopes, expires_in: lifetimeSec, ip: caller.ip },
    });
    return { delegation, clientName: client.name, token };
  });
}

async function holdAgent(trx: Trx, tenantId: string, clientId: string): Promise<Client> {
  const client = await holdClient(trx, tenantId, clientId);
  if (client?.status === 'active' && client.grantTypes.includes('urn:ietf:params:oauth:grant-type:token-exchange'))
    return client;
  const message = 'is not a client of this tenant that can act for users';
  throw new AppError('validation_failed', { errors: [{ path: 'client_id', message }] });
}

function assertScopes(scopes: readonly string[], allowed: readonly string[]): void {
  const errors = scopes.flatMap((scope, index) =>
    allowed.includes(scope) ? [] : [{ path: `scopes.${index}`, message: 'is not an allowed scope of this client' }],
  );
  if (errors.length > 0) throw new AppError('validation_failed', { errors });
}

/**
 * Withdraws a delegation: voids its subject token and revokes its access tokens in one transaction. The user's session
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
    const { tenantId, clientId, sessionId } = withdrawn;
    await enterTenant(trx, tenantId);
    const event = { tenantId, userId, sessionId, requestId, detail: { delegation_id: id, client_id: clientId } };
    await appendAudit(trx, { ...event, action: 'delegation.withdrawn' });
    await appendRevocations(trx, [{ kind: 'session', sid: id, userId, tenantId }], revocationInForceSec);
  });
}
