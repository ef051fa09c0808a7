import { v7 as uuidv7 } from 'uuid';
import type { ClientKeySet } from '../../domain/clients/client-keys.ts';
import { clientIdPrefix, type GrantType, losesRights } from '../../domain/clients/client-rules.ts';
import { newSecret } from '../../domain/clients/client-secret.ts';
import { revocationInForceSec } from '../../domain/sessions/session-rules.ts';
import { AppError } from '../../errors.ts';
import type { AuditAction } from '../../store/audit/audit.ts';
import { type ClientSecret, deleteSecrets, insertSecret, listSecrets } from '../../store/clients/client-credentials.ts';
import {
  type ChangedClient,
  type Client,
  deleteClient,
  findClient,
  insertClient,
  listClients,
  lockClient,
  updateClient,
} from '../../store/clients/clients.ts';
import type { AuthDatabase } from '../../store/database.ts';
import { roles } from '../../store/roles.ts';
import type { Trx } from '../../store/scope.ts';
import { appendRevocations } from '../../store/sessions/revocations.ts';
import { recordInTenant } from '../audit/record.ts';
import { type Admin, asAdmin } from '../tenants/as-admin.ts';

/** A client as shown to administrators. */
export type ManagedClient = Readonly<{ client: Client; secrets: readonly ClientSecret[] }>;

/** Includes the new secret, which is shown only once. */
export type ClientWithSecret = ManagedClient & Readonly<{ secret: string | undefined }>;

export type WantedClient = Readonly<{
  name: string;
  scopes: readonly string[];
  grantTypes: readonly GrantType[];
  /** If absent, the client gets a generated secret. */
  keys: ClientKeySet | undefined;
}>;

/** @throws AppError `insufficient_role`. */
export function createClient(db: AuthDatabase, admin: Admin, wanted: WantedClient): Promise<ClientWithSecret> {
  const { tenantId, userId } = admin;
  const id = clientIdPrefix + uuidv7();
  return asAdmin(db, admin, async (trx) => {
    const client = await insertClient(trx, { id, tenantId, createdBy: userId, ...wanted });
    if (client === undefined) throw new Error('a random id already exists');
    const secret = wanted.keys === undefined ? await addSecret(trx, client) : undefined;
    const created = { ...(await withSecrets(trx, client)), secret };
    await record(trx, admin, 'client.created', id, rightsOf(client));
    return created;
  });
}

/** Creates a secret. Its id is higher than the ids of the client's earlier secrets. */
export async function addSecret(trx: Trx, { tenantId, id: clientId }: Client): Promise<string> {
  const { secret, hash } = newSecret('secret');
  await insertSecret(trx, { tenantId, clientId, hash });
  return secret;
}

export function everyClient(
  db: AuthDatabase,
  tenantId: string,
  page: Readonly<{ before: string | undefined; limit: number }>,
): Promise<ManagedClient[]> {
  return db.transaction({ role: roles.accounts, tenantId }, async (trx) => {
    const clients = await listClients(trx, tenantId, page);
    const secrets = await listSecrets(
      trx,
      tenantId,
      clients.map(({ id }) => id),
    );
    return clients.map((client) => ({ client, secrets: secrets.filter(({ clientId }) => clientId === client.id) }));
  });
}

/** @throws AppError `not_found`. */
export function readClient(db: AuthDatabase, tenantId: string, id: string): Promise<ManagedClient> {
  return db.transaction({ role: roles.accounts, tenantId }, async (trx) =>
    withSecrets(trx, demand(await findClient(trx, tenantId, id))),
  );
}

/** Members that are absent stay unchanged. Setting keys removes the client's secrets. */
export type WantedChange = Partial<ChangedClient> & Readonly<{ revokeTokens: boolean }>;

/**
 * Changes a client. Its tokens are revoked in the same transaction when it loses a right, or when the administrator
 * asks for it.
 *
 * @throws AppError `insufficient_role`, `not_found`.
 */
export function changeClient(
  db: AuthDatabase,
  admin: Admin,
  id: string,
  { revokeTokens, ...wanted }: WantedChange,
): Promise<ManagedClient> {
  return asAdmin(db, admin, async (trx) => {
    const from = demand(await lockClient(trx, admin.tenantId, id));
    const to = { ...from, ...wanted };
    await updateClient(trx, admin.tenantId, id, to);
    if (wanted.keys !== undefined) await deleteSecrets(trx, { tenantId: admin.tenantId, clientId: id });
    const changed = await withSecrets(trx, to);
    const ends = revokeTokens || losesRights(from, to);
    const detail = { from: rightsOf(from), to: rightsOf(to), tokens_ended: ends };
    await record(trx, admin, 'client.changed', id, detail);
    if (ends) await endTokens(trx, admin.tenantId, id);
    return changed;
  });
}

/** Deletes a client; its tokens end in the same transaction. @throws AppError `insufficient_role`, `not_found`. */
export async function removeClient(db: AuthDatabase, admin: Admin, id: string): Promise<void> {
  await asAdmin(db, admin, async (trx) => {
    const client = demand(await lockClient(trx, admin.tenantId, id));
    await deleteClient(trx, admin.tenantId, id);
    await record(trx, admin, 'client.deleted', id, rightsOf(client));
    await endTokens(trx, admin.tenantId, id);
  });
}

/** @throws AppError `not_found` if the client is undefined. */
export function demand<T>(found: T | undefined): T {
  if (found === undefined) throw new AppError('not_found');
  return found;
}

export async function withSecrets(trx: Trx, client: Client): Promise<ManagedClient> {
  return { client, secrets: await listSecrets(trx, client.tenantId, [client.id]) };
}

/** Writes to the audit chain. Afterwards, the transaction may access the tenant's sessions and revocations. */
export async function record(
  trx: Trx,
  { tenantId, userId, sessionId, requestId }: Admin,
  action: AuditAction,
  clientId: string,
  detail: Readonly<Record<string, unknown>>,
): Promise<void> {
  await recordInTenant(trx, {
    tenantId,
    userId,
    sessionId,
    requestId,
    action,
    detail: { client_id: clientId, ...detail },
  });
}

/**
 * Revokes every token of a client, including users' tokens issued to it. Must be the last statement of a transaction.
 */
export async function endTokens(trx: Trx, tenantId: string, clientId: string): Promise<void> {
  await appendRevocations(trx, [{ kind: 'client', clientId, tenantId }], revocationInForceSec);
}

const rightsOf = ({ name, status, scopes, grantTypes, keys }: ChangedClient) => ({
  name,
  status,
  scopes,
  grant_types: grantTypes,
  kids: keys?.keys.map(({ kid }) => kid) ?? null,
});
