import { v7 as uuidv7 } from 'uuid';
import { clientIdPrefix, losesRights } from '../../domain/clients/client-rules.ts';
import { newSecret } from '../../domain/clients/client-secret.ts';
import { revocationInForceSec } from '../../domain/sessions/session-rules.ts';
import { AppError } from '../../errors.ts';
import type { AuditAction } from '../../store/audit/audit.ts';
import { type ClientSecret, deleteSecrets, insertSecret, listSecrets } from '../../store/clients/client-credentials.ts';
import {
  deleteOAuthClient,
  findOAuthClient,
  insertOAuthClient,
  listOAuthClients,
  lockOAuthClient,
  type NewOAuthClient,
  type OAuthClient,
  type OAuthClientSettings,
  updateOAuthClient,
} from '../../store/clients/clients.ts';
import type { AuthDatabase } from '../../store/database.ts';
import { roles } from '../../store/roles.ts';
import type { Trx } from '../../store/scope.ts';
import { appendRevocations } from '../../store/sessions/revocations.ts';
import { recordInTenant } from '../audit/record.ts';
import { type Admin, asAdmin } from '../tenants/as-admin.ts';

/** An OAuth client as administrators see it. */
export type ManagedOAuthClient = Readonly<{ oauthClient: OAuthClient; secrets: readonly ClientSecret[] }>;

/** `secret` is the new secret, which is shown only once. */
export type OAuthClientWithSecret = ManagedOAuthClient & Readonly<{ secret: string | undefined }>;

/** Creates an OAuth client, with a generated secret if it has no keys. @throws AppError `insufficient_role`. */
export function createOAuthClient(
  db: AuthDatabase,
  admin: Admin,
  wanted: Pick<NewOAuthClient, 'name' | 'scopes' | 'grant_types' | 'jwks'>,
): Promise<OAuthClientWithSecret> {
  const { tenantId, userId } = admin;
  const id = clientIdPrefix + uuidv7();
  return asAdmin(db, admin, async (trx) => {
    const oauthClient = await insertOAuthClient(trx, { ...wanted, id, tenant_id: tenantId, created_by: userId });
    if (oauthClient === undefined) throw new Error('a random id already exists');
    const secret = wanted.jwks === null ? await addSecret(trx, tenantId, id) : undefined;
    const created = { ...(await withSecrets(trx, oauthClient)), secret };
    await record(trx, admin, 'client.created', id, rightsOf(oauthClient));
    return created;
  });
}

/** Creates a secret. Later secrets have higher ids. */
export async function addSecret(trx: Trx, tenantId: string, clientId: string): Promise<string> {
  const { secret, hash } = newSecret('secret');
  await insertSecret(trx, { tenantId, clientId, hash });
  return secret;
}

export function everyOAuthClient(
  db: AuthDatabase,
  tenantId: string,
  page: Readonly<{ before: string | undefined; limit: number }>,
): Promise<ManagedOAuthClient[]> {
  return db.transaction({ role: roles.accounts, tenantId }, async (trx) => {
    const clients = await listOAuthClients(trx, tenantId, page);
    const ids = clients.map(({ id }) => id);
    const secrets = await listSecrets(trx, tenantId, ids);
    return clients.map((oauthClient) => ({
      oauthClient,
      secrets: secrets.filter(({ client_id }) => client_id === oauthClient.id),
    }));
  });
}

/** @throws AppError `not_found`. */
export function readOAuthClient(db: AuthDatabase, tenantId: string, id: string): Promise<ManagedOAuthClient> {
  return db.transaction({ role: roles.accounts, tenantId }, async (trx) =>
    withSecrets(trx, demand(await findOAuthClient(trx, tenantId, id))),
  );
}

/** Absent settings stay unchanged. Setting `jwks` removes the OAuth client's secrets. */
export type WantedChange = Partial<OAuthClientSettings> & Readonly<{ revokeTokens: boolean }>;

/**
 * Changes an OAuth client. If it loses a right, or `revokeTokens` is set, its tokens are revoked in the same transaction.
 *
 * @throws AppError `insufficient_role`, `not_found`.
 */
export function changeOAuthClient(
  db: AuthDatabase,
  admin: Admin,
  id: string,
  { revokeTokens, ...wanted }: WantedChange,
): Promise<ManagedOAuthClient> {
  return asAdmin(db, admin, async (trx) => {
    const from = demand(await lockOAuthClient(trx, admin.tenantId, id));
    const to = { ...from, ...wanted };
    await updateOAuthClient(trx, admin.tenantId, id, to);
    if (wanted.jwks !== undefined) await deleteSecrets(trx, { tenantId: admin.tenantId, clientId: id });
    const changed = await withSecrets(trx, to);
    const ends = revokeTokens || losesRights(from, to);
    const detail = { from: rightsOf(from), to: rightsOf(to), tokens_ended: ends };
    await record(trx, admin, 'client.changed', id, detail);
    if (ends) await endTokens(trx, admin.tenantId, id);
    return changed;
  });
}

/**
 * Deletes an OAuth client, and revokes its tokens in the same transaction.
 *
 * @throws AppError `insufficient_role`, `not_found`.
 */
export async function removeOAuthClient(db: AuthDatabase, admin: Admin, id: string): Promise<void> {
  await asAdmin(db, admin, async (trx) => {
    const oauthClient = demand(await lockOAuthClient(trx, admin.tenantId, id));
    await deleteOAuthClient(trx, admin.tenantId, id);
    await record(trx, admin, 'client.deleted', id, rightsOf(oauthClient));
    await endTokens(trx, admin.tenantId, id);
  });
}

/** @throws AppError `not_found` if the value is undefined. */
export function demand<T>(found: T | undefined): T {
  if (found === undefined) throw new AppError('not_found');
  return found;
}

/** @throws AppError `validation_failed` with this message for each scope that is not allowed. */
export function assertScopes(scopes: readonly string[], allowed: readonly string[], message: string): void {
  const errors = scopes.flatMap((scope, index) =>
    allowed.includes(scope) ? [] : [{ path: `scopes.${index}`, message }],
  );
  if (errors.length > 0) throw new AppError('validation_failed', { errors });
}

export async function withSecrets(trx: Trx, oauthClient: OAuthClient): Promise<ManagedOAuthClient> {
  return { oauthClient, secrets: await listSecrets(trx, oauthClient.tenant_id, [oauthClient.id]) };
}

/** Writes to the audit log. Afterwards, the transaction can access the tenant's sessions and revocations. */
export async function record(
  trx: Trx,
  admin: Admin,
  action: AuditAction,
  clientId: string,
  detail: Readonly<Record<string, unknown>>,
): Promise<void> {
  await recordInTenant(trx, { ...admin, action, detail: { client_id: clientId, ...detail } });
}

/**
 * Revokes every token of an OAuth client, including tokens with which it acts for users. Must be the transaction's last
 * statement.
 */
export async function endTokens(trx: Trx, tenantId: string, clientId: string): Promise<void> {
  await appendRevocations(trx, [{ kind: 'client', client_id: clientId, tenant_id: tenantId }], revocationInForceSec);
}

const rightsOf = ({ name, status, scopes, grant_types, jwks }: OAuthClientSettings) => ({
  ...{ name, status, scopes, grant_types },
  kids: jwks?.keys.map(({ kid }) => kid) ?? null,
});
