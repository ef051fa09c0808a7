import { sql } from 'kysely';
import { v7 as uuidv7 } from 'uuid';
import type { VerifiedAssertion } from '../../domain/clients/client-assertion.ts';
import type { Trx } from '../scope.ts';
import { usedSince } from './clients.ts';

const now = sql<Date>`clock_timestamp()`;

/** One secret of a client. The secret itself is not stored. */
export type ClientSecret = Readonly<{
  id: string;
  clientId: string;
  createdAt: Date;
  /** Null if it is valid until replaced. */
  expiresAt: Date | null;
  lastUsedAt: Date | null;
}>;

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

/** The live secrets of these clients, newest first. */
export async function listSecrets(trx: Trx, tenantId: string, clientIds: readonly string[]): Promise<ClientSecret[]> {
  if (clientIds.length === 0) return [];
  return trx
    .selectFrom('client_secrets')
    .select([
      'id',
      'client_id as clientId',
      'created_at as createdAt',
      'expires_at as expiresAt',
      'last_used_at as lastUsedAt',
    ])
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
    .set({ expires_at: sql<Date>`least(expires_at, ${now} + make_interval(secs => ${afterSec}::int))` })
    .where('tenant_id', '=', tenantId)
    .where('id', '=', id)
    .execute();
}

/** Deletes these secrets of a client, or all of them. @returns The number of deleted secrets. */
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

/** The live secrets of the client that `becomeClient` named, with their hashes. */
export async function readCurrentHashes(trx: Trx): Promise<Readonly<{ id: string; hash: Buffer }>[]> {
  const rows = await trx.selectFrom('client_secrets').select(['id', 'hash']).where(isLive).execute();
  return rows.map(({ id, hash }) => ({ id, hash: Buffer.from(hash) }));
}

/** Records the use of a secret. @returns false if it has been revoked or has expired since it was checked. */
export async function useSecret(
  trx: Trx,
  { tenantId, id: clientId }: Readonly<{ tenantId: string; id: string }>,
  id: string,
): Promise<boolean> {
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

/** Marks an assertion as used, for all instances. @returns false if it was already used. */
export async function useAssertion(
  trx: Trx,
  { hash, expiresAt }: Pick<VerifiedAssertion, 'hash' | 'expiresAt'>,
  { tenantId, clientId }: Readonly<{ tenantId: string; clientId: string }>,
): Promise<boolean> {
  const { numInsertedOrUpdatedRows = 0n } = await trx
    .insertInto('client_assertions')
    .values({ hash, tenant_id: tenantId, client_id: clientId, expires_at: expiresAt })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  return numInsertedOrUpdatedRows > 0n;
}
