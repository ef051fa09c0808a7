import { insert, insertNew, remove, rowsWith, update, updating } from '@countersign/database';
import { type SelectQueryBuilder, sql } from 'kysely';
import { v7 as uuidv7 } from 'uuid';
import type { VerifiedAssertion } from '../../domain/clients/client-authentication.ts';
import { type ClientKeySet, tokenExchangeGrant } from '../../domain/clients/client-rules.ts';
import type { AuthSchema, Row } from '../schema.ts';
import { type AuthDatabase, inSeconds, now, roles, type Trx } from '../transaction.ts';

/** An OAuth client. `jwks` is null if it authenticates with a secret; `created_by` is null for a demo OAuth client. */
export type OAuthClient = Omit<Row<'clients'>, 'jwks'> & { jwks: ClientKeySet | null };

export type NewOAuthClient = Omit<OAuthClient, 'created_at' | 'last_used_at' | 'status'>;

/** @returns false if an OAuth client with this id exists. */
export const insertOAuthClient = (trx: Trx, oauthClient: NewOAuthClient): Promise<boolean> =>
  insertNew(trx, 'clients', { ...oauthClient, jwks: jwksText(oauthClient.jwks) });

export function listOAuthClients(
  trx: Trx,
  tenantId: string,
  { before, limit }: Readonly<{ before: string | undefined; limit: number }>,
): Promise<OAuthClient[]> {
  let query = rowsWith(trx, 'clients', { tenant_id: tenantId });
  if (before !== undefined) query = query.where('id', '<', before);
  return oauthClientsOf(query.orderBy('id', 'desc').limit(limit));
}

const maxAgents = 100;

/** Lists a tenant's OAuth clients that can currently act for users, by name. */
export function listAgents(db: AuthDatabase, tenantId: string): Promise<OAuthClient[]> {
  return db.transaction({ role: roles.app, tenantId }, (trx) => {
    const active = rowsWith(trx, 'clients', { tenant_id: tenantId, status: 'active' });
    const agents = active.where(sql<boolean>`${tokenExchangeGrant} = any(grant_types)`);
    return oauthClientsOf(agents.orderBy('name').limit(maxAgents));
  });
}

/** Finds the OAuth client that `becomeOAuthClient` named, in any tenant. */
export const findCurrentOAuthClient = (trx: Trx) => firstOf(trx.selectFrom('clients'));

export const findOAuthClient = (trx: Trx, tenantId: string, id: string) =>
  firstOf(rowsWith(trx, 'clients', { tenant_id: tenantId, id }));

/** Locks the OAuth client, so that no tokens are issued to it until the transaction ends. */
export const lockOAuthClient = (trx: Trx, tenantId: string, id: string) =>
  firstOf(rowsWith(trx, 'clients', { tenant_id: tenantId, id }).forUpdate());

/** Locks the OAuth client FOR SHARE, so that it cannot change until the transaction ends. */
export const holdOAuthClient = (trx: Trx, tenantId: string, id: string) =>
  firstOf(rowsWith(trx, 'clients', { tenant_id: tenantId, id }).forShare());

const firstOf = async (query: OAuthClientQuery): Promise<OAuthClient | undefined> => (await oauthClientsOf(query))[0];

type OAuthClientQuery = SelectQueryBuilder<AuthSchema, 'clients', unknown>;

async function oauthClientsOf(query: OAuthClientQuery): Promise<OAuthClient[]> {
  const rows = await query.selectAll().execute();
  return rows.map(({ jwks, ...row }) => ({ ...row, jwks: jwks === null ? null : JSON.parse(jwks) }));
}

const jwksText = (jwks: ClientKeySet | null): string | null => jwks && JSON.stringify(jwks);

/** What administrators can change. */
export type OAuthClientSettings = Pick<OAuthClient, 'name' | 'scopes' | 'grant_types' | 'status' | 'jwks'>;

export function updateOAuthClient(trx: Trx, tenantId: string, id: string, settings: OAuthClientSettings) {
  const { name, scopes, grant_types, status, jwks } = settings;
  const change = { name, scopes, grant_types, status, jwks: jwksText(jwks) };
  return update(trx, 'clients', { tenant_id: tenantId, id }, change);
}

export const deleteOAuthClient = (trx: Trx, tenantId: string, id: string) =>
  remove(trx, 'clients', { tenant_id: tenantId, id });

/** Limits updates of `last_used_at` to one a minute, because some OAuth clients request tokens constantly. */
const usedSince = sql<boolean>`(last_used_at is null or last_used_at < clock_timestamp() - interval '1 minute')`;

/** Call this before a shared lock: if two transactions both hold one, neither can change the row. */
export async function markUsed(
  trx: Trx,
  table: 'clients' | 'client_secrets' | 'delegations',
  row: Readonly<{ tenant_id: string; id: string }>,
): Promise<void> {
  const { tenant_id, id } = row;
  await updating(trx, table as 'clients', { tenant_id, id }, { last_used_at: now })
    .where(usedSince)
    .execute();
}

/** One secret of an OAuth client. `expires_at` is null while the secret is valid until replaced. */
type ClientSecret = Omit<Row<'client_secrets'>, 'tenant_id' | 'hash'>;

type SecretKey = Readonly<{ tenantId: string; clientId: string }>;

/** Newer secrets have higher ids. */
export const insertSecret = (trx: Trx, { tenantId, clientId, hash }: SecretKey & Readonly<{ hash: Buffer }>) =>
  insert(trx, 'client_secrets', { id: uuidv7(), tenant_id: tenantId, client_id: clientId, hash });

const isLive = sql<boolean>`(expires_at is null or expires_at > clock_timestamp())`;

/** Lists the valid secrets of these OAuth clients, newest first. */
export async function listSecrets(trx: Trx, tenantId: string, clientIds: readonly string[]): Promise<ClientSecret[]> {
  if (clientIds.length === 0) return [];
  return rowsWith(trx, 'client_secrets', { tenant_id: tenantId })
    .select(['id', 'client_id', 'created_at', 'expires_at', 'last_used_at'])
    .where('client_id', 'in', [...clientIds])
    .where(isLive)
    .orderBy('id', 'desc')
    .execute();
}

/** Makes a secret expire after this time, unless it expires earlier. */
export const expireSecret = (trx: Trx, tenantId: string, id: string, afterSec: number) =>
  update(
    trx,
    'client_secrets',
    { tenant_id: tenantId, id },
    { expires_at: sql<Date>`least(expires_at, ${inSeconds(afterSec)})` },
  );

/** Deletes one secret of an OAuth client, or all of them. @returns Whether there were any. */
export const deleteSecrets = (trx: Trx, { tenantId, clientId }: SecretKey, id?: string) =>
  remove(trx, 'client_secrets', { tenant_id: tenantId, client_id: clientId, ...(id !== undefined && { id }) });

/** Reads the valid secrets of the OAuth client that `becomeOAuthClient` named. */
export async function readCurrentHashes(trx: Trx): Promise<Readonly<{ id: string; hash: Buffer }>[]> {
  const rows = await trx.selectFrom('client_secrets').select(['id', 'hash']).where(isLive).execute();
  return rows.map(({ id, hash }) => ({ id, hash: Buffer.from(hash) }));
}

/** Records the use of a secret. @returns false if the secret was revoked or has expired since it was checked. */
export async function useSecret(trx: Trx, { tenantId, clientId }: SecretKey, id: string): Promise<boolean> {
  const key = { tenant_id: tenantId, client_id: clientId, id };
  const secret = await rowsWith(trx, 'client_secrets', key).select('id').where(isLive).executeTakeFirst();
  if (secret !== undefined) await markUsed(trx, 'client_secrets', key);
  return secret !== undefined;
}

/** Marks an assertion as used, for all instances. @returns false if the assertion was already used. */
export const useAssertion = (
  trx: Trx,
  { hash, expiresAt }: Pick<VerifiedAssertion, 'hash' | 'expiresAt'>,
  { tenantId, clientId }: SecretKey,
): Promise<boolean> =>
  insertNew(trx, 'client_assertions', { hash, tenant_id: tenantId, client_id: clientId, expires_at: expiresAt });
