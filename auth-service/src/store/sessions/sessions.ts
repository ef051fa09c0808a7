import { sql } from 'kysely';
import { now } from '../clock.ts';
import type { AuthDatabase } from '../database.ts';
import { roles } from '../roles.ts';
import type { Trx } from '../scope.ts';
import type { SessionKey } from './refresh-family.ts';

/** Marks sessions as ended, and deletes their encrypted successor tokens. */
export async function markRevoked(trx: Trx, ids: readonly string[], reason: string): Promise<void> {
  if (ids.length === 0) return;
  await trx
    .updateTable('sessions')
    .set({ revoked_at: now, revoked_reason: reason, sealed_successor: null })
    .where('id', 'in', ids)
    .where('revoked_at', 'is', null)
    .execute();
}

/**
 * Ends all open sessions, or all open sessions in one tenant, in the order of their ids.
 *
 * @returns The number of ended sessions by tenant.
 */
export async function endEverySession(trx: Trx, reason: string, tenantId?: string): Promise<Map<string, number>> {
  const among = tenantId === undefined ? sql`true` : sql`tenant_id = ${tenantId}`;
  const { rows } = await sql<{ tenant_id: string; ended: number }>`
    with open as (select id from sessions where revoked_at is null and ${among} order by id for update),
    done as (
      update sessions set revoked_at = clock_timestamp(), revoked_reason = ${reason}, sealed_successor = null
      where id in (select id from open) returning tenant_id)
    select tenant_id, count(*)::int as ended from done group by tenant_id`.execute(trx);
  return new Map(rows.map(({ tenant_id, ended }) => [tenant_id, ended]));
}

export type OwnSession = Readonly<{ id: string; tenantId: string }>;

/** Locks a user's open sessions in one tenant or all tenants, in the order of their ids. */
export async function lockOwnSessions(trx: Trx, userId: string, tenantId?: string): Promise<OwnSession[]> {
  let query = trx
    .selectFrom('sessions')
    .select(['id', 'tenant_id as tenantId'])
    .where('user_id', '=', userId)
    .where('revoked_at', 'is', null);
  if (tenantId !== undefined) query = query.where('tenant_id', '=', tenantId);
  return query.orderBy('id').forUpdate().execute();
}

/** Lists a person's open sessions in all tenants, most recently used first. */
export async function listOwnSessions(db: AuthDatabase, userId: string) {
  return db.transaction({ role: roles.self, userId }, (trx) =>
    trx
      .selectFrom('sessions')
      .select(['id', 'ip', 'user_agent', 'created_at', 'last_used_at'])
      .where('user_id', '=', userId)
      .where('revoked_at', 'is', null)
      .where(sql<boolean>`${now} < least(idle_expires_at, absolute_expires_at)`)
      .orderBy('last_used_at', 'desc')
      .execute(),
  );
}

/** Whether the session belongs to this user, even if it has ended. */
export async function isOwnSession(trx: Trx, userId: string, id: string): Promise<boolean> {
  const row = await trx
    .selectFrom('sessions')
    .select('id')
    .where('user_id', '=', userId)
    .where('id', '=', id)
    .executeTakeFirst();
  return row !== undefined;
}

/** How a person authenticated when the session started. */
export type SessionProof = Readonly<{ authTime: Date; amr: readonly string[]; jkt: string | null }>;

/** @returns undefined if the session has ended. */
export async function readSessionProof(
  trx: Trx,
  { tenantId, sessionId }: SessionKey,
  userId: string,
): Promise<SessionProof | undefined> {
  return going(trx, { tenantId, sessionId }, userId).executeTakeFirst();
}

/** Like {@link readSessionProof}, but locks the session FOR SHARE, so that it cannot end during this transaction. */
export function holdSession(trx: Trx, key: SessionKey, userId: string): Promise<SessionProof | undefined> {
  return going(trx, key, userId).forShare().executeTakeFirst();
}

const going = (trx: Trx, { tenantId, sessionId }: SessionKey, userId: string) =>
  trx
    .selectFrom('sessions')
    .select(['auth_time as authTime', 'amr', 'jkt'])
    .where('tenant_id', '=', tenantId)
    .where('id', '=', sessionId)
    .where('user_id', '=', userId)
    .where('revoked_at', 'is', null)
    .where(sql<boolean>`${now} < least(idle_expires_at, absolute_expires_at)`);
