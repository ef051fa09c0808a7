import { countRows, rowsWith, updating } from '@countersign/database';
import { sql } from 'kysely';
import { clockToleranceSec } from '../../domain/sessions/session-rules.ts';
import type { Row } from '../schema.ts';
import { type AuthDatabase, inSeconds, now, roles, type Trx } from '../transaction.ts';
import { markUsed } from './clients.ts';

const isLive = sql<boolean>`(revoked_at is null and expires_at > clock_timestamp())`;

const isLiveInSession = sql<boolean>`(
  delegations.revoked_at is null and delegations.expires_at > clock_timestamp()
  and sessions.revoked_at is null
  and clock_timestamp() < least(sessions.idle_expires_at, sessions.absolute_expires_at))`;

/** A consent that an OAuth client may act for a person, until their session ends. Its tokens have its `id` as `sid`. */
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

type NewDelegation = Omit<Delegation, 'created_at' | 'expires_at' | 'last_used_at'> & {
  token_hash: Buffer;
  lifetimeSec: number;
};

export const insertDelegation = (trx: Trx, { lifetimeSec, ...delegation }: NewDelegation): Promise<Delegation> =>
  trx
    .insertInto('delegations')
    .values({ ...delegation, expires_at: inSeconds(lifetimeSec) })
    .returning(columns)
    .executeTakeFirstOrThrow();

/** A user's valid delegations. Delegations from ended sessions do not count. */
const validOf = (trx: Trx, userId: string) =>
  trx
    .selectFrom('delegations')
    .innerJoin('sessions', 'sessions.id', 'delegations.session_id')
    .where('delegations.user_id', '=', userId)
    .where(isLiveInSession);

export async function countDelegations(trx: Trx, tenantId: string, userId: string): Promise<number> {
  const valid = validOf(trx, userId).where('delegations.tenant_id', '=', tenantId);
  return (await valid.select(countRows).executeTakeFirstOrThrow()).count;
}

/** Finds the delegation that a subject token grants to this OAuth client, even if expired or withdrawn. */
export const findDelegation = (
  trx: Trx,
  { tenantId, clientId }: Readonly<{ tenantId: string; clientId: string }>,
  tokenHash: Buffer,
): Promise<Delegation | undefined> =>
  rowsWith(trx, 'delegations', { tenant_id: tenantId, client_id: clientId, token_hash: tokenHash })
    .select(columns)
    .executeTakeFirst();

/** Records the use of a delegation and locks it FOR SHARE. @returns undefined if it was withdrawn or has expired. */
export async function holdDelegation(
  trx: Trx,
  { tenant_id, id }: Delegation,
): Promise<Readonly<{ expiresAtSec: number }> | undefined> {
  await markUsed(trx, 'delegations', { tenant_id, id });
  return rowsWith(trx, 'delegations', { tenant_id, id })
    .select(sql<number>`floor(extract(epoch from expires_at))::bigint`.as('expiresAtSec'))
    .where(isLive)
    .forShare()
    .executeTakeFirst();
}

export type OwnDelegation = Awaited<ReturnType<typeof listOwnDelegations>>[number];

/** Lists a user's valid delegations in all tenants, newest first, with the OAuth clients' names. */
export const listOwnDelegations = (db: AuthDatabase, userId: string) =>
  db.transaction({ role: roles.self, userId }, (trx) =>
    validOf(trx, userId)
      .innerJoin('clients', 'clients.id', 'delegations.client_id')
      .select(columns)
      .select('clients.name as client_name')
      .orderBy('delegations.id', 'desc')
      .execute(),
  );

/** Withdraws a person's delegation. @returns undefined if they have no valid delegation with this id. */
export const revokeOwnDelegation = (trx: Trx, userId: string, id: string): Promise<Delegation | undefined> =>
  updating(trx, 'delegations', { user_id: userId, id }, { revoked_at: now })
    .where(isLive)
    .returning(columns)
    .executeTakeFirst();

/** Finds delegations that may still have valid tokens: verifiers accept a token shortly after it expires. */
export async function delegatedFrom(trx: Trx, sessionIds: readonly string[]) {
  if (sessionIds.length === 0) return [];
  return rowsWith(trx, 'delegations', { revoked_at: null })
    .select(['id as sid', 'user_id', 'tenant_id'])
    .where('session_id', 'in', [...sessionIds])
    .where('expires_at', '>', inSeconds(-clockToleranceSec))
    .execute();
}
