import { countRows } from '@countersign/database';
import { sql } from 'kysely';
import { clockToleranceSec } from '../../domain/sessions/session-rules.ts';
import { inSeconds, now } from '../clock.ts';
import type { AuthDatabase } from '../database.ts';
import { roles } from '../roles.ts';
import type { Row } from '../schema.ts';
import type { Trx } from '../scope.ts';
import { usedSince } from './clients.ts';

const isLive = sql<boolean>`(revoked_at is null and expires_at > clock_timestamp())`;

const isLiveInSession = sql<boolean>`(
  delegations.revoked_at is null and delegations.expires_at > clock_timestamp()
  and sessions.revoked_at is null
  and clock_timestamp() < least(sessions.idle_expires_at, sessions.absolute_expires_at))`;

/**
 * A person's consent that an OAuth client may act for them. The consent ends with the person's session `session_id`.
 * Tokens issued for it have its `id` as their `sid`.
 */
export type Delegation = Omit<Row<'delegations'>, 'token_hash' | 'revoked_at'>;

const columns = [
  'delegations.id',
  'delegations.tenant_id',
  'delegations.user_id',
  'delegations.client_id',
  'delegations.session_id',
  'delegations.scopes',
  'delegations.created_at',
  'delegations.expires_at',
  'delegations.last_used_at',
] as const;

export type NewDelegation = Omit<Delegation, 'created_at' | 'expires_at' | 'last_used_at'> & {
  token_hash: Buffer;
  lifetimeSec: number;
};

export function insertDelegation(trx: Trx, { lifetimeSec, ...delegation }: NewDelegation): Promise<Delegation> {
  return trx
    .insertInto('delegations')
    .values({ ...delegation, expires_at: inSeconds(lifetimeSec) })
    .returning(columns)
    .executeTakeFirstOrThrow();
}

/** Counts a user's valid delegations in a tenant. Delegations from ended sessions do not count. */
export async function countDelegations(trx: Trx, tenantId: string, userId: string): Promise<number> {
  const { count } = await trx
    .selectFrom('delegations')
    .innerJoin('sessions', 'sessions.id', 'delegations.session_id')
    .select(countRows)
    .where('delegations.tenant_id', '=', tenantId)
    .where('delegations.user_id', '=', userId)
    .where(isLiveInSession)
    .executeTakeFirstOrThrow();
  return count;
}

/** Finds the delegation that a subject token grants to this OAuth client, even if expired or withdrawn. */
export function findDelegation(
  trx: Trx,
  { tenantId, clientId }: Readonly<{ tenantId: string; clientId: string }>,
  tokenHash: Buffer,
): Promise<Delegation | undefined> {
  return trx
    .selectFrom('delegations')
    .select(columns)
    .where('tenant_id', '=', tenantId)
    .where('client_id', '=', clientId)
    .where('token_hash', '=', tokenHash)
    .executeTakeFirst();
}

/** Records the use of a delegation and locks it FOR SHARE. @returns undefined if it was withdrawn or has expired. */
export async function holdDelegation(
  trx: Trx,
  { tenant_id: tenantId, id }: Delegation,
): Promise<Readonly<{ expiresAtSec: number }> | undefined> {
  // Written before the lock: if two transactions both hold a shared lock, neither can change the row.
  await trx
    .updateTable('delegations')
    .set({ last_used_at: now })
    .where('tenant_id', '=', tenantId)
    .where('id', '=', id)
    .where(usedSince)
    .execute();
  return trx
    .selectFrom('delegations')
    .select(sql<number>`floor(extract(epoch from expires_at))::bigint`.as('expiresAtSec'))
    .where('tenant_id', '=', tenantId)
    .where('id', '=', id)
    .where(isLive)
    .forShare()
    .executeTakeFirst();
}

/** Lists a user's valid delegations in all tenants, newest first, with the OAuth clients' names. */
export function listOwnDelegations(
  db: AuthDatabase,
  userId: string,
): Promise<(Delegation & { client_name: string })[]> {
  return db.transaction({ role: roles.self, userId }, (trx) =>
    trx
      .selectFrom('delegations')
      .innerJoin('clients', 'clients.id', 'delegations.client_id')
      .innerJoin('sessions', 'sessions.id', 'delegations.session_id')
      .select(columns)
      .select('clients.name as client_name')
      .where('delegations.user_id', '=', userId)
      .where(isLiveInSession)
      .orderBy('delegations.id', 'desc')
      .execute(),
  );
}

/** Withdraws a person's delegation. @returns undefined if they have no valid delegation with this id. */
export function revokeOwnDelegation(trx: Trx, userId: string, id: string): Promise<Delegation | undefined> {
  return trx
    .updateTable('delegations')
    .set({ revoked_at: now })
    .where('user_id', '=', userId)
    .where('id', '=', id)
    .where(isLive)
    .returning(columns)
    .executeTakeFirst();
}

/**
 * Finds the delegations from these sessions that may still have valid tokens. Verifiers accept a token for a short time
 * after it expires.
 */
export async function delegatedFrom(
  trx: Trx,
  sessionIds: readonly string[],
): Promise<Readonly<{ sid: string; user_id: string; tenant_id: string }>[]> {
  if (sessionIds.length === 0) return [];
  return trx
    .selectFrom('delegations')
    .select(['id as sid', 'user_id', 'tenant_id'])
    .where('session_id', 'in', [...sessionIds])
    .where('revoked_at', 'is', null)
    .where('expires_at', '>', inSeconds(-clockToleranceSec))
    .execute();
}
