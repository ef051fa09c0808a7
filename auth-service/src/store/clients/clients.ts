import { type Selectable, sql } from 'kysely';
import type { ClientKeySet } from '../../domain/clients/client-keys.ts';
import type { ClientRights, ClientStatus, GrantType } from '../../domain/clients/client-rules.ts';
import type { AuthDatabase } from '../database.ts';
import { roles } from '../roles.ts';
import type { ClientsTable } from '../schema.ts';
import type { Trx } from '../scope.ts';

/** An OAuth client of a tenant. */
export type Client = ClientRights &
  Readonly<{
    id: string;
    tenantId: string;
    name: string;
    /** Its public keys. Undefined if it authenticates with a secret. */
    keys: ClientKeySet | undefined;
    /** The person who created it; null for a demo client. */
    createdBy: string | null;
    createdAt: Date;
    lastUsedAt: Date | null;
  }>;

export type NewClient = Omit<Client, 'createdAt' | 'lastUsedAt' | 'status'>;

/** @returns undefined if a client with this id exists. */
export async function insertClient(trx: Trx, client: NewClient): Promise<Client | undefined> {
  const row = await trx
    .insertInto('clients')
    .values({
      id: client.id,
      tenant_id: client.tenantId,
      name: client.name,
      scopes: [...client.scopes],
      grant_types: [...client.grantTypes],
      jwks: jwksText(client.keys),
      created_by: client.createdBy,
    })
    .onConflict((conflict) => conflict.doNothing())
    .returningAll()
    .executeTakeFirst();
  return row && clientOf(row);
}

/** Lists a tenant's clients, newest first. */
export async function listClients(
  trx: Trx,
  tenantId: string,
  { before, limit }: Readonly<{ before: string | undefined; limit: number }>,
): Promise<Client[]> {
  let query = trx.selectFrom('clients').selectAll().where('tenant_id', '=', tenantId);
  if (before !== undefined) query = query.where('id', '<', before);
  return (await query.orderBy('id', 'desc').limit(limit).execute()).map(clientOf);
}

export async function findClient(trx: Trx, tenantId: string, id: string): Promise<Client | undefined> {
  const row = await clientRow(trx, tenantId, id).executeTakeFirst();
  return row && clientOf(row);
}

/** The clients of a tenant that can currently act for users, by name. */
export function listAgents(db: AuthDatabase, tenantId: string): Promise<Client[]> {
  return db.transaction({ role: roles.app, tenantId }, async (trx) => {
    const rows = await trx
      .selectFrom('clients')
      .selectAll()
      .where('tenant_id', '=', tenantId)
      .where('status', '=', 'active')
      .where(sql<boolean>`'urn:ietf:params:oauth:grant-type:token-exchange' = any(grant_types)`)
      .orderBy('name')
      .limit(maxAgents)
      .execute();
    return rows.map(clientOf);
  });
}

const maxAgents = 100;

/** Locks the client, so that no tokens are issued to it until the transaction ends. */
export async function lockClient(trx: Trx, tenantId: string, id: string): Promise<Client | undefined> {
  const row = await clientRow(trx, tenantId, id).forUpdate().executeTakeFirst();
  return row && clientOf(row);
}

/** Takes FOR SHARE: the client cannot change until the transaction ends. */
export async function holdClient(trx: Trx, tenantId: string, id: string): Promise<Client | undefined> {
  const row = await clientRow(trx, tenantId, id).forShare().executeTakeFirst();
  return row && clientOf(row);
}

const clientRow = (trx: Trx, tenantId: string, id: string) =>
  trx.selectFrom('clients').selectAll().where('tenant_id', '=', tenantId).where('id', '=', id);

/** The client that `becomeClient` named, in any tenant. */
export async function findCurrentClient(trx: Trx): Promise<Client | undefined> {
  const row = await trx.selectFrom('clients').selectAll().executeTakeFirst();
  return row && clientOf(row);
}

export type ChangedClient = Readonly<{
  name: string;
  scopes: readonly string[];
  grantTypes: readonly GrantType[];
  status: ClientStatus;
  keys: ClientKeySet | undefined;
}>;

export async function updateClient(trx: Trx, tenantId: string, id: string, to: ChangedClient): Promise<void> {
  await trx
    .updateTable('clients')
    .set({
      name: to.name,
      scopes: [...to.scopes],
      grant_types: [...to.grantTypes],
      status: to.status,
      jwks: jwksText(to.keys),
    })
    .where('tenant_id', '=', tenantId)
    .where('id', '=', id)
    .execute();
}

export async function deleteClient(trx: Trx, tenantId: string, id: string): Promise<void> {
  await trx.deleteFrom('clients').where('tenant_id', '=', tenantId).where('id', '=', id).execute();
}

/** Writes at most once a minute, because some clients get tokens all the time. */
export const usedSince = sql<boolean>`(last_used_at is null or last_used_at < clock_timestamp() - interval '1 minute')`;

/** Call it before `holdClient`: if two transactions both hold a shared lock, neither can change the row. */
export async function markClientUsed(trx: Trx, tenantId: string, id: string): Promise<void> {
  await trx
    .updateTable('clients')
    .set({ last_used_at: sql<Date>`clock_timestamp()` })
    .where('tenant_id', '=', tenantId)
    .where('id', '=', id)
    .where(usedSince)
    .execute();
}

const jwksText = (keys: ClientKeySet | undefined): string | null => (keys === undefined ? null : JSON.stringify(keys));

function clientOf(row: Selectable<ClientsTable>): Client {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    name: row.name,
    scopes: row.scopes,
    grantTypes: row.grant_types,
    status: row.status,
    keys: row.jwks === null ? undefined : (JSON.parse(row.jwks) as ClientKeySet),
    createdBy: row.created_by,
    createdAt: row.created_at,
    lastUsedAt: row.last_used_at,
  };
}
