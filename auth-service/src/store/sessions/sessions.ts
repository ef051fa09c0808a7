import { randomBytes } from 'node:crypto';
import { insert, removing, rowsWith, updating } from '@countersign/database';
import { type Insertable, sql } from 'kysely';
import { hashSecret } from '../../domain/clients/client-secret.ts';
import { absoluteLifetimeSec, graceSec, idleLifetimeSec, type Transport } from '../../domain/sessions/session-rules.ts';
import type { AuthSchema, Row } from '../schema.ts';
import { type AuthDatabase, inSeconds, now, roles, type Trx } from '../transaction.ts';

const isExpired = sql<boolean>`(${now} >= least(idle_expires_at, absolute_expires_at))`;
const isCurrent = sql<boolean>`(revoked_at is null and not ${isExpired})`;

/** Marks sessions as ended, and deletes their encrypted successor tokens. */
export async function markRevoked(trx: Trx, ids: readonly string[], reason: string): Promise<void> {
  if (ids.length === 0) return;
  const end = { revoked_at: now, revoked_reason: reason, sealed_successor: null };
  await updating(trx, 'sessions', { revoked_at: null }, end).where('id', 'in', ids).execute();
}

/** Ends open sessions, in the order of their ids. @returns The number of ended sessions by tenant. */
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
  const ofTenant = tenantId === undefined ? {} : { tenant_id: tenantId };
  const open = rowsWith(trx, 'sessions', { user_id: userId, revoked_at: null, ...ofTenant });
  return open.select(['id', 'tenant_id as tenantId']).orderBy('id').forUpdate().execute();
}

/** Lists a person's open sessions in all tenants, most recently used first. */
export const listOwnSessions = (db: AuthDatabase, userId: string) =>
  db.transaction({ role: roles.self, userId }, (trx) =>
    rowsWith(trx, 'sessions', { user_id: userId })
      .select(['id', 'ip', 'user_agent', 'created_at', 'last_used_at'])
      .where(isCurrent)
      .orderBy('last_used_at', 'desc')
      .execute(),
  );

/** Returns when these people last logged in to the tenant, as long as those sessions are kept. */
export async function lastLogins(trx: Trx, tenantId: string, userIds: readonly string[]): Promise<Map<string, Date>> {
  if (userIds.length === 0) return new Map();
  const rows = await rowsWith(trx, 'sessions', { tenant_id: tenantId })
    .select(['user_id', sql<Date>`max(created_at)`.as('at')])
    .where('user_id', 'in', [...userIds])
    .groupBy('user_id')
    .execute();
  return new Map(rows.map(({ user_id, at }) => [user_id, at]));
}

export type SessionKey = Readonly<{ tenantId: string; sessionId: string }>;

/** How a person authenticated when the session started. @returns undefined if the session has ended. */
export const readSessionProof = (trx: Trx, key: SessionKey, userId: string) =>
  proofOf(trx, key, userId).executeTakeFirst();

/** Like {@link readSessionProof}, but locks the session FOR SHARE, so that it cannot end during this transaction. */
export const holdSession = (trx: Trx, key: SessionKey, userId: string) =>
  proofOf(trx, key, userId).forShare().executeTakeFirst();

const proofOf = (trx: Trx, { tenantId, sessionId }: SessionKey, userId: string) =>
  rowsWith(trx, 'sessions', { tenant_id: tenantId, id: sessionId, user_id: userId })
    .select(['auth_time as authTime', 'amr', 'jkt'])
    .where(isCurrent);

/** Starts a session with counter 1. */
export const insertSession = (
  trx: Trx,
  session: Omit<Insertable<AuthSchema['sessions']>, 'counter' | 'absolute_expires_at' | 'idle_expires_at'>,
): Promise<void> =>
  insert(trx, 'sessions', {
    ...session,
    counter: 1,
    absolute_expires_at: inSeconds(absoluteLifetimeSec),
    idle_expires_at: inSeconds(idleLifetimeSec),
  });

/** Returns a session's user, who never changes, so this needs no lock. */
export async function findSessionUser(trx: Trx, tenantId: string, id: string): Promise<string | undefined> {
  const row = await rowsWith(trx, 'sessions', { tenant_id: tenantId, id }).select('user_id').executeTakeFirst();
  return row?.user_id;
}

const expiresInSec =
  sql<number>`floor(extract(epoch from least(idle_expires_at, absolute_expires_at) - ${now}))::int`.as('expiresInSec');

/** Locks a session, so that the second of two concurrent refreshes sees the result of the first one. */
export async function lockSession(trx: Trx, { tenantId, sessionId }: SessionKey) {
  const session = rowsWith(trx, 'sessions', { tenant_id: tenantId, id: sessionId });
  await session.select('id').forUpdate().execute();
  // A second statement, because the first one may have read the clock before it waited for the lock.
  return session
    .select(['counter', 'client_id as clientId', 'auth_time as authTime', 'amr', 'jkt'])
    .select(['token_hash as tokenHash', 'sealed_successor as sealedSuccessor'])
    .select([
      sql<boolean>`revoked_at is not null`.as('revoked'),
      isExpired.as('expired'),
      sql<boolean>`coalesce(rotated_at >= ${inSeconds(-graceSec)}, false)`.as('withinGrace'),
      // Until the refresh token stops working.
      expiresInSec,
    ])
    .executeTakeFirst();
}

export type LockedSession = NonNullable<Awaited<ReturnType<typeof lockSession>>>;

type Rotation = Pick<Row<'sessions'>, 'token_hash' | 'sealed_successor' | 'mac_kid' | 'ip' | 'user_agent'>;

/**
 * Stores a session's next refresh token, and increments its counter.
 *
 * @returns Seconds until the new token expires, or undefined if the session has just expired.
 */
export async function rotateSession(
  trx: Trx,
  { tenantId, sessionId }: SessionKey,
  { fromCounter, ...rotation }: Rotation & Readonly<{ fromCounter: number }>,
): Promise<number | undefined> {
  const current = { tenant_id: tenantId, id: sessionId, counter: fromCounter };
  const rotate = updating(trx, 'sessions', current, {
    ...rotation,
    counter: fromCounter + 1,
    rotated_at: now,
    last_used_at: now,
    idle_expires_at: sql`least(${inSeconds(idleLifetimeSec)}, absolute_expires_at)`,
  });
  return (await rotate.where(isCurrent).returning(expiresInSec).executeTakeFirst())?.expiresInSec;
}

/** What a login has established so far. The next step continues from here. */
type Step = Readonly<{ userId: string; provenAt: Date; amr: readonly string[]; transport: Transport }>;

type NewStep = Step &
  (Readonly<{ purpose: 'tenant_selection' }> | Readonly<{ purpose: 'mfa'; tenantId: string }>) &
  Readonly<{ lifetimeSec: number }>;

/** @returns A token for the next step. Only its hash is stored. */
export async function saveStep(db: AuthDatabase, step: NewStep): Promise<string> {
  const token = randomBytes(32).toString('base64url');
  await db.transaction({ role: roles.login, userId: step.userId }, (trx) =>
    insert(trx, 'one_time_tokens', {
      hash: hashSecret(token),
      purpose: step.purpose,
      user_id: step.userId,
      tenant_id: step.purpose === 'mfa' ? step.tenantId : null,
      amr: [...step.amr],
      transport: step.transport,
      created_at: step.provenAt,
      expires_at: inSeconds(step.lifetimeSec),
    }),
  );
  return token;
}

/** Returns the person who must enter a code, and the tenant they chose. The token stays valid. */
export async function findMfaHolder(
  trx: Trx,
  token: string,
): Promise<Readonly<{ userId: string; tenantId: string }> | undefined> {
  const row = await rowsWith(trx, 'one_time_tokens', { hash: hashSecret(token), purpose: 'mfa' })
    .select(['user_id as userId', 'tenant_id as tenantId'])
    .where('expires_at', '>', now)
    .executeTakeFirst();
  return row?.tenantId == null ? undefined : { userId: row.userId, tenantId: row.tenantId };
}

/** Uses a token. Of two concurrent calls, one succeeds. @returns undefined if it is unknown, used or expired. */
export const takeStep = (trx: Trx, token: string, purpose: NewStep['purpose']): Promise<Step | undefined> =>
  removing(trx, 'one_time_tokens', { hash: hashSecret(token), purpose })
    .where('expires_at', '>', now)
    .returning(['user_id as userId', 'created_at as provenAt', 'amr', 'transport'])
    .executeTakeFirst();
