import { v7 as uuidv7 } from 'uuid';
import { clientIdPrefix, losesRights } from '../../domain/clients/client-rules.ts';
import { newSecret } from '../../domain/clients/client-secret.ts';
import { AppError } from '../../errors.ts';
import type { AuditAction, AuditEvent } from '../../store/audit/audit.ts';
import * as store from '../../store/clients/clients.ts';
import { appendRevocations } from '../../store/sessions/revocations.ts';
import { type AuthDatabase, roles, type Trx } from '../../store/transaction.ts';
import { recordInTenant } from '../audit/record.ts';
import { type Admin, asAdmin } from '../tenants/members.ts';

/** An OAuth client as administrators see it. */
export type ManagedOAuthClient = Awaited<ReturnType<typeof withSecrets>>;

/** `secret` is the new secret, which is shown only once. */
export type OAuthClientWithSecret = ManagedOAuthClient & Readonly<{ secret: string | undefined }>;

/** Creates an OAuth client, with a generated secret if it has no keys. @throws AppError `insufficient_role`. */
export function createOAuthClient(
  db: AuthDatabase,
  admin: Admin,
  wanted: Pick<store.NewOAuthClient, 'name' | 'scopes' | 'grant_types' | 'jwks'>,
): Promise<OAuthClientWithSecret> {
  const { tenantId, userId } = admin;
  const id = clientIdPrefix + uuidv7();
  return asAdmin(db, admin, async (trx) => {
    await store.insertOAuthClient(trx, { ...wanted, id, tenant_id: tenantId, created_by: userId });
    const secret = wanted.jwks === null ? await addSecret(trx, tenantId, id) : undefined;
    const created = await withSecrets(trx, await store.findOAuthClient(trx, tenantId, id));
    await record(trx, admin, 'client.created', id, rightsOf(created.oauthClient));
    return { ...created, secret };
  });
}

async function addSecret(trx: Trx, tenantId: string, clientId: string): Promise<string> {
  const { secret, hash } = newSecret('secret');
  await store.insertSecret(trx, { tenantId, clientId, hash });
  return secret;
}

export function everyOAuthClient(
  db: AuthDatabase,
  tenantId: string,
  page: Parameters<typeof store.listOAuthClients>[2],
): Promise<ManagedOAuthClient[]> {
  return db.transaction({ role: roles.accounts, tenantId }, async (trx) => {
    const clients = await store.listOAuthClients(trx, tenantId, page);
    const ids = clients.map(({ id }) => id);
    const secrets = await store.listSecrets(trx, tenantId, ids);
    return clients.map((oauthClient) => ({
      oauthClient,
      secrets: secrets.filter(({ client_id }) => client_id === oauthClient.id),
    }));
  });
}

/** @throws AppError `not_found`. */
export function readOAuthClient(db: AuthDatabase, tenantId: string, id: string): Promise<ManagedOAuthClient> {
  return db.transaction({ role: roles.accounts, tenantId }, async (trx) =>
    withSecrets(trx, await store.findOAuthClient(trx, tenantId, id)),
  );
}

/**
 * Changes an OAuth client. If it loses a right, or `revokeTokens` is set, its tokens are revoked in the same transaction.
 *
 * @param wanted Absent settings stay unchanged. Setting `jwks` removes the OAuth client's secrets.
 * @throws AppError `insufficient_role`, `not_found`.
 */
export function changeOAuthClient(
  db: AuthDatabase,
  admin: Admin,
  id: string,
  { revokeTokens, ...wanted }: Partial<store.OAuthClientSettings> & Readonly<{ revokeTokens: boolean }>,
): Promise<ManagedOAuthClient> {
  const { tenantId } = admin;
  return changing(db, admin, id, async (trx, from) => {
    const to = { ...from, ...wanted };
    await store.updateOAuthClient(trx, tenantId, id, to);
    if (wanted.jwks !== undefined) await store.deleteSecrets(trx, { tenantId, clientId: id });
    const changed = await withSecrets(trx, to);
    const ends = revokeTokens || losesRights(from, to);
    const detail = { from: rightsOf(from), to: rightsOf(to), tokens_ended: ends };
    await record(trx, admin, 'client.changed', id, detail);
    if (ends) await endTokens(trx, tenantId, id);
    return changed;
  });
}

/** Also revokes its tokens. @throws AppError `insufficient_role`, `not_found`. */
export const removeOAuthClient = (db: AuthDatabase, admin: Admin, id: string): Promise<void> =>
  changing(db, admin, id, async (trx, oauthClient) => {
    await store.deleteOAuthClient(trx, admin.tenantId, id);
    await record(trx, admin, 'client.deleted', id, rightsOf(oauthClient));
    await endTokens(trx, admin.tenantId, id);
  });

/**
 * Gives an OAuth client a new secret. The most recent old secret stays valid for `keepOldForSec`, so that the OAuth
 * client can switch without an outage. All older secrets and the OAuth client's keys are deleted.
 *
 * @throws AppError `insufficient_role`, `not_found`.
 */
export function rotateSecret(
  db: AuthDatabase,
  admin: Admin,
  id: string,
  { keepOldForSec, revokeTokens }: Readonly<{ keepOldForSec: number; revokeTokens: boolean }>,
): Promise<OAuthClientWithSecret> {
  const { tenantId } = admin;
  return changing(db, admin, id, async (trx, current) => {
    const oauthClient = { ...current, jwks: null };
    const secrets = await store.listSecrets(trx, tenantId, [id]);
    const [kept] = keepOldForSec > 0 ? secrets : [];
    for (const old of secrets) if (old !== kept) await store.deleteSecrets(trx, { tenantId, clientId: id }, old.id);
    if (kept !== undefined) await store.expireSecret(trx, tenantId, kept.id, keepOldForSec);
    await store.updateOAuthClient(trx, tenantId, id, oauthClient);
    const secret = await addSecret(trx, tenantId, id);
    const rotated = { ...(await withSecrets(trx, oauthClient)), secret };
    const detail = { keep_old_for: keepOldForSec, tokens_ended: revokeTokens };
    await record(trx, admin, 'client.secret_rotated', id, detail);
    if (revokeTokens) await endTokens(trx, tenantId, id);
    return rotated;
  });
}

/** For example the old secret after a rotation. @throws AppError `insufficient_role`, `not_found`. */
export const endSecret = (db: AuthDatabase, admin: Admin, clientId: string, secretId: string): Promise<void> =>
  changing(db, admin, clientId, async (trx) => {
    const ended = await store.deleteSecrets(trx, { tenantId: admin.tenantId, clientId }, secretId);
    if (!ended) throw new AppError('not_found');
    await record(trx, admin, 'client.secret_ended', clientId, { secret_id: secretId });
  });

/** Locks the OAuth client, so that no tokens are issued to it until the transaction ends. */
const changing = <T>(
  db: AuthDatabase,
  admin: Admin,
  id: string,
  change: (trx: Trx, oauthClient: store.OAuthClient) => Promise<T>,
): Promise<T> =>
  asAdmin(db, admin, async (trx) => {
    const oauthClient = await store.lockOAuthClient(trx, admin.tenantId, id);
    if (oauthClient === undefined) throw new AppError('not_found');
    return change(trx, oauthClient);
  });

/** @throws AppError `validation_failed` with this message for each scope that is not allowed. */
export function assertScopes(scopes: readonly string[], allowed: readonly string[], message: string): void {
  const errors = scopes.flatMap((scope, index) =>
    allowed.includes(scope) ? [] : [{ path: `scopes.${index}`, message }],
  );
  if (errors.length > 0) throw new AppError('validation_failed', { errors });
}

/** @throws AppError `not_found` if there is no OAuth client. */
async function withSecrets(trx: Trx, oauthClient: store.OAuthClient | undefined) {
  if (oauthClient === undefined) throw new AppError('not_found');
  return { oauthClient, secrets: await store.listSecrets(trx, oauthClient.tenant_id, [oauthClient.id]) };
}

/** Writes to the audit log. Afterwards, the transaction can access the tenant's sessions and revocations. */
const record = (trx: Trx, admin: Admin, action: AuditAction, clientId: string, detail: AuditEvent['detail']) =>
  recordInTenant(trx, { ...admin, action, detail: { client_id: clientId, ...detail } });

/** Revokes all its tokens, also those with which it acts for users. Must be the transaction's last statement. */
const endTokens = (trx: Trx, tenantId: string, clientId: string): Promise<void> =>
  appendRevocations(trx, [{ kind: 'client', client_id: clientId, tenant_id: tenantId }]);

const rightsOf = ({ name, status, scopes, grant_types, jwks }: store.OAuthClientSettings) => ({
  ...{ name, status, scopes, grant_types },
  kids: jwks?.keys.map(({ kid }) => kid) ?? null,
});
