import { countRows } from '@countersign/database';
import { sql } from 'kysely';
import { clockToleranceSec } from '../../domain/sessions/session-rules.ts';
import type { AuthDatabase } from '../database.ts';
import { roles } from '../roles.ts';
import type { Trx } from '../scope.ts';
import { usedSince } from './clients.ts';

const now = sql<Date>`clock_timestamp()`;
const isLive = sql<boolean>`(revoked_at is null and expires_at > clock_timestamp())`;

const isLiveInSession = sql<boolean>`(
  delegations.revoked_at is null and delegations.expires_at > clock_timestamp()
  and sessions.revoked_at is null
  and clock_timestamp() < least(sessions.idle_expires_at, sessions.absolute_expires_at))`;

/** A person's consent that a client may act for them. It ends with the session in which it was given. */
export type Delegation = Readonly<{
  /** Also the `sid` of the tokens made from it. */
  id: string;
  tenantId: string;
  userId: string;
  clientId: string;
  /** The person's session. */
  sessionId: string;
  scopes: readonly string[];
  createdAt: Date;
  expiresAt: Date;
  lastUsedAt: Date | null;
}>;

const columns = [
  'delegations.id',
  'delegations.tenant_id as tenantId',
  'delegations.user_id as userId',
  'delegations.client_id as clientId',
  'delegations.session_id as sessionId',
  'delegations.scopes',
  'delegations.created_at as createdAt',
  'delegations.expires_at as expiresAt',
  'delegations.last_used_at as lastUsedAt',
] as const;

export type NewDelegation = Omit<Delegation, 'createdAt' | 'expiresAt' | 'lastUsedAt'> &
  Readonly<{ tokenHash: Buffer; lifetimeSec: number }>;

export async function insertDelegation(trx: Trx, delegation: NewDelegation): Promise<Delegation> {
  return trx
    .insertInto('delegations')
    .values({
      id: delegation.id,
      tenant_id: delegation.tenantId,
      user_id: delegation.userId,
      client_id: delegation.clientId,
      session_id: delegation.sessionId,
      scopes: [...delegation.scopes],
      token_hash: delegation.tokenHash,
      expires_at: sql<Date>`${now} + make_interval(secs => ${delegation.lifetimeSec}::int)`,
    })
    .returning(columns)
    .executeTakeFirstOrThrow();
}

/** The number of live delegations of a user in a tenant. Delegations of ended sessions do not count. */
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

type ClientKey = Readonly<{ tenantId: string; clientId: string }>;

/** Finds the delegation of a subject token, if it is for this client. It may have expired or been withdrawn. */
export function findDelegation(
  trx: Trx,
  { tenantId, clientId }: ClientKey,
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

/** Records the use of a delegation and takes FOR SHARE. @returns undefined if it was withdrawn or has expired. */
export async function holdDelegation(
  trx: Trx,
  { tenantId, id }: Pick<Delegation, 'tenantId' | 'id'>,
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

/** A user's valid delegations in every tenant, newest first, with the names of the clients. */
export function listOwnDelegations(
  db: AuthDatabase,
  userId: string,
): Promise<(Delegation & Readonly<{ clientName: string }>)[]> {
  return db.transaction({ role: roles.self, userId }, (trx) =>
    trx
      .selectFrom('delegations')
      .innerJoin('clients', 'clients.id', 'delegations.client_id')
      .innerJoin('sessions', 'sessions.id', 'delegations.session_id')
      .select(columns)
      .select('clients.name as clientName')
      .where('delegations.user_id', '=', userId)
      .where(isLiveInSession)
      .orderBy('delegations.id', 'desc')
      .execute(),
  );
}

/** Withdraws a person's delegation. @returns undefined if there is no valid one with this id. */
export function revokeOwnDelegation(
  trx: Trx,
  userId: string,
  id: string,
): Promise<Readonly<{ tenantId: string; clientId: string; sessionId: string }> | undefined> {
  return trx
    .updateTable('delegations')
    .set({ revoked_at: now })
    .where('user_id', '=', userId)
    .where('id', '=', id)
    .where(isLive)
    .returning(['tenant_id as tenantId', 'client_id as clientId', 'session_id as sessionId'])
    .executeTakeFirst();
}

/**
 * Delegations of these sessions that may still have valid tokens: verifiers accept a token for a short time after it
 * expires.
 */
export async function delegatedFrom(
  trx: Trx,
  sessionIds: readonly string[],
): Promise<Readonly<{ sid: string; userId: string; tenantId: string }>[]> {
  if (sessionIds.length === 0) return [];
  return trx
    .selectFrom('delegations')
    .select(['id as sid', 'user_id as userId', 'tenant_id as tenantId'])
    .where('session_id', 'in', [...sessionIds])
    .where('revoked_at', 'is', null)
    .where('expires_at', '>', sql<Date>`${now} - make_interval(secs => ${clockToleranceSec}::int)`)
    .execute();
}
