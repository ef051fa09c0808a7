import { sql } from 'kysely';
import { v7 as uuidv7 } from 'uuid';
import type { VerifiedAssertion } from '../../domain/clients/client-assertion.ts';
import { inSeconds, now } from '../clock.ts';
import type { Row } from '../schema.ts';
import type { Trx } from '../scope.ts';
import { usedSince } from './clients.ts';

/** One secret of an OAuth client. `expires_at` is null while the secret is valid until replaced. */
export type ClientSecret = Omit<Row<'client_secrets'>, 'tenant_id' | 'hash'>;

type SecretKey = Readonly<{ tenantId: string; clientId: string }>;

/** Newer secrets have higher ids. */
export async function insertSecret(
  trx: Trx,
  { tenantId, clientId, hash }: SecretKey & Readonly<{ hash: Buffer }>,
): Promise<void> {
  await trx
    .insertInto('client_secrets')
    .values({ id: uuidv7(), tenant_id: tenantId, client_id: clientId, hash })
    .execute();
}

/** Lists the valid secrets of these OAuth clients, newest first. */
export async function listSecrets(trx: Trx, tenantId: string, clientIds: readonly string[]): Promise<ClientSecret[]> {
  if (clientIds.length === 0) return [];
  return trx
    .selectFrom('client_secrets')
    .select(['id', 'client_id', 'created_at', 'expires_at', 'last_used_at'])
    .where('tenant_id', '=', tenantId)
    .where('client_id', 'in', [...clientIds])
    .where(isLive)
    .orderBy('id', 'desc')
    .execute();
}

/** Makes a secret expire after this time, unless it expires earlier. */
export async function expireSecret(trx: Trx, tenantId: string, id: string, afterSec: number): Promise<void> {
  await trx
    .updateTable('client_secrets')
    .set({ expires_at: sql<Date>`least(expires_at, ${inSeconds(afterSec)})` })
    .where('tenant_id', '=', tenantId)
    .where('id', '=', id)
    .execute();
}

/** Deletes these secrets of an OAuth client, or all of them. @returns The number of deleted secrets. */
export async function deleteSecrets(
  trx: Trx,
  { tenantId, clientId }: SecretKey,
  ids?: readonly string[],
): Promise<number> {
  if (ids?.length === 0) return 0;
  let query = trx.deleteFrom('client_secrets').where('tenant_id', '=', tenantId).where('client_id', '=', clientId);
  if (ids !== undefined) query = query.where('id', 'in', [...ids]);
  const { numDeletedRows } = await query.executeTakeFirst();
  return Number(numDeletedRows);
}

/** Reads the valid secrets of the OAuth client that `becomeOAuthClient` named. */
export async function readCurrentHashes(trx: Trx): Promise<Readonly<{ id: string; hash: Buffer }>[]> {
  const rows = await trx.selectFrom('client_secrets').select(['id', 'hash']).where(isLive).execute();
  return rows.map(({ id, hash }) => ({ id, hash: Buffer.from(hash) }));
}

/** Records the use of a secret. @returns false if the secret was revoked or has expired since it was checked. */
export async function useSecret(trx: Trx, { tenantId, clientId }: SecretKey, id: string): Promise<boolean> {
  const secret = trx
    .selectFrom('client_secrets')
    .select('id')
    .where('tenant_id', '=', tenantId)
    .where('client_id', '=', clientId)
    .where('id', '=', id)
    .where(isLive);
  await trx
    .updateTable('client_secrets')
    .set({ last_used_at: now })
    .where('id', 'in', secret)
    .where(usedSince)
    .execute();
  return (await secret.executeTakeFirst()) !== undefined;
}

const isLive = sql<boolean>`(expires_at is null or expires_at > clock_timestamp())`;

/** Marks an assertion as used, for all instances. @returns false if the assertion was already used. */
export async function useAssertion(
  trx: Trx,
  { hash, expiresAt }: Pick<VerifiedAssertion, 'hash' | 'expiresAt'>,
  { tenantId, clientId }: SecretKey,
): Promise<boolean> {
  const { numInsertedOrUpdatedRows = 0n } = await trx
    .insertInto('client_assertions')
    .values({ hash, tenant_id: tenantId, client_id: clientId, expires_at: expiresAt })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  return numInsertedOrUpdatedRows > 0n;
}
