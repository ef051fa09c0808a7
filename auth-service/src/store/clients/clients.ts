import { sql } from 'kysely';
import type { ClientKeySet } from '../../domain/clients/client-keys.ts';
import { tokenExchangeGrant } from '../../domain/clients/client-rules.ts';
import { now } from '../clock.ts';
import type { AuthDatabase } from '../database.ts';
import { roles } from '../roles.ts';
import type { Row } from '../schema.ts';
import type { Trx } from '../scope.ts';

/** An OAuth client. `jwks` is null if it authenticates with a secret; `created_by` is null for a demo OAuth client. */
export type OAuthClient = Omit<Row<'clients'>, 'jwks'> & { jwks: ClientKeySet | null };

export type NewOAuthClient = Omit<OAuthClient, 'created_at' | 'last_used_at' | 'status'>;

/** @returns undefined if an OAuth client with this id exists. */
export async function insertOAuthClient(trx: Trx, oauthClient: NewOAuthClient): Promise<OAuthClient | undefined> {
  const row = await trx
    .insertInto('clients')
    .values({ ...oauthClient, jwks: jwksText(oauthClient.jwks) })
    .onConflict((conflict) => conflict.doNothing())
    .returningAll()
    .executeTakeFirst();
  return row && oauthClientOf(row);
}

/** Lists a tenant's OAuth clients, newest first. */
export async function listOAuthClients(
  trx: Trx,
  tenantId: string,
  { before, limit }: Readonly<{ before: string | undefined; limit: number }>,
): Promise<OAuthClient[]> {
  let query = trx.selectFrom('clients').selectAll().where('tenant_id', '=', tenantId);
  if (before !== undefined) query = query.where('id', '<', before);
  return (await query.orderBy('id', 'desc').limit(limit).execute()).map(oauthClientOf);
}

export async function findOAuthClient(trx: Trx, tenantId: string, id: string): Promise<OAuthClient | undefined> {
  const row = await oauthClientRow(trx, tenantId, id).executeTakeFirst();
  return row && oauthClientOf(row);
}

/** Lists a tenant's OAuth clients that can currently act for users, by name. */
export function listAgents(db: AuthDatabase, tenantId: string): Promise<OAuthClient[]> {
  return db.transaction({ role: roles.app, tenantId }, async (trx) => {
    const rows = await trx
      .selectFrom('clients')
      .selectAll()
      .where('tenant_id', '=', tenantId)
      .where('status', '=', 'active')
      .where(sql<boolean>`${tokenExchangeGrant} = any(grant_types)`)
      .orderBy('name')
      .limit(maxAgents)
      .execute();
    return rows.map(oauthClientOf);
  });
}

const maxAgents = 100;

/** Locks the OAuth client, so that no tokens are issued to it until the transaction ends. */
export async function lockOAuthClient(trx: Trx, tenantId: string, id: string): Promise<OAuthClient | undefined> {
  const row = await oauthClientRow(trx, tenantId, id).forUpdate().executeTakeFirst();
  return row && oauthClientOf(row);
}

/** Locks the OAuth client FOR SHARE, so that it cannot change until the transaction ends. */
export async function holdOAuthClient(trx: Trx, tenantId: string, id: string): Promise<OAuthClient | undefined> {
  const row = await oauthClientRow(trx, tenantId, id).forShare().executeTakeFirst();
  return row && oauthClientOf(row);
}

const oauthClientRow = (trx: Trx, tenantId: string, id: string) =>
  trx.selectFrom('clients').selectAll().where('tenant_id', '=', tenantId).where('id', '=', id);

/** Finds the OAuth client that `becomeOAuthClient` named, in any tenant. */
export async function findCurrentOAuthClient(trx: Trx): Promise<OAuthClient | undefined> {
  const row = await trx.selectFrom('clients').selectAll().executeTakeFirst();
  return row && oauthClientOf(row);
}

/** What administrators can change. */
export type OAuthClientSettings = Pick<OAuthClient, 'name' | 'scopes' | 'grant_types' | 'status' | 'jwks'>;

export async function updateOAuthClient(
  trx: Trx,
  tenantId: string,
  id: string,
  { name, scopes, grant_types, status, jwks }: OAuthClientSettings,
): Promise<void> {
  await trx
    .updateTable('clients')
    .set({ name, scopes, grant_types, status, jwks: jwksText(jwks) })
    .where('tenant_id', '=', tenantId)
    .where('id', '=', id)
    .execute();
}

export async function deleteOAuthClient(trx: Trx, tenantId: string, id: string): Promise<void> {
  await trx.deleteFrom('clients').where('tenant_id', '=', tenantId).where('id', '=', id).execute();
}

/** Limits updates of `last_used_at` to one a minute, because some OAuth clients request tokens constantly. */
export const usedSince = sql<boolean>`(last_used_at is null or last_used_at < clock_timestamp() - interval '1 minute')`;

/** Call this before `holdOAuthClient`: if two transactions both hold a shared lock, neither can change the row. */
export async function markOAuthClientUsed(trx: Trx, tenantId: string, id: string): Promise<void> {
  await trx
    .updateTable('clients')
    .set({ last_used_at: now })
    .where('tenant_id', '=', tenantId)
    .where('id', '=', id)
    .where(usedSince)
    .execute();
}

const jwksText = (jwks: ClientKeySet | null): string | null => jwks && JSON.stringify(jwks);

const oauthClientOf = ({ jwks, ...row }: Row<'clients'>): OAuthClient => ({
  ...row,
  jwks: jwks === null ? null : JSON.parse(jwks),
});
