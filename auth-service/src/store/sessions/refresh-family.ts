import { sql } from 'kysely';
import type { Trx } from '../scope.ts';

const seconds = (count: number) => sql<Date>`make_interval(secs => ${count}::int)`;
const now = sql<Date>`clock_timestamp()`;

export type NewSession = Readonly<{
  id: string;
  tenantId: string;
  userId: string;
  tokenHash: Buffer;
  macKeyId: string;
  clientId: string;
  userAgent: string | null;
  ip: string | null;
  authTime: Date;
  amr: readonly string[];
  jkt: string | null;
  idleLifetimeSec: number;
  absoluteLifetimeSec: number;
}>;

/** Starts a family at counter 1. */
export async function insertSession(trx: Trx, session: NewSession): Promise<void> {
  await trx
    .insertInto('sessions')
    .values({
      id: session.id,
      tenant_id: session.tenantId,
      user_id: session.userId,
      counter: 1,
      token_hash: session.tokenHash,
      mac_kid: session.macKeyId,
      absolute_expires_at: sql`${now} + ${seconds(session.absoluteLifetimeSec)}`,
      idle_expires_at: sql`${now} + ${seconds(session.idleLifetimeSec)}`,
      client_id: session.clientId,
      user_agent: session.userAgent,
      ip: session.ip,
      auth_time: session.authTime,
      amr: [...session.amr],
      jkt: session.jkt,
    })
    .execute();
}

/** The user of a session. Needs no lock, because it never changes. */
export async function findSessionUser(trx: Trx, tenantId: string, id: string): Promise<string | undefined> {
  const row = await trx
    .selectFrom('sessions')
    .select('user_id')
    .where('tenant_id', '=', tenantId)
    .where('id', '=', id)
    .executeTakeFirst();
  return row?.user_id;
}

/** Finds a session within its tenant only. */
export type SessionKey = Readonly<{ tenantId: string; sessionId: string }>;

export type LockedSession = Readonly<{
  counter: number;
  revoked: boolean;
  /** Past its idle or absolute timeout. */
  expired: boolean;
  /** Whether the last rotation was within the grace period. */
  withinGrace: boolean;
  tokenHash: Buffer;
  sealedSuccessor: Buffer | null;
  /** Whole seconds until the refresh token stops working. */
  expiresInSec: number;
  clientId: string;
  authTime: Date;
  amr: readonly string[];
  jkt: string | null;
}>;

/** Takes FOR UPDATE: the second of two concurrent refreshes sees the result of the first one. */
export async function lockSession(
  trx: Trx,
  { tenantId, sessionId: id }: SessionKey,
  graceSec: number,
): Promise<LockedSession | undefined> {
  const locked = trx.selectFrom('sessions').select('id').where('tenant_id', '=', tenantId).where('id', '=', id);
  await locked.forUpdate().execute();
  // A separate statement, because the first one read the clock before it waited for the lock.
  const row = await trx
    .selectFrom('sessions')
    .select(['counter', 'token_hash', 'sealed_successor', 'client_id', 'auth_time', 'amr', 'jkt'])
    .select([
      sql<boolean>`revoked_at is not null`.as('revoked'),
      sql<boolean>`${now} >= least(idle_expires_at, absolute_expires_at)`.as('expired'),
      sql<boolean>`coalesce(${now} <= rotated_at + ${seconds(graceSec)}, false)`.as('within_grace'),
      secondsLeft().as('expires_in'),
    ])
    .where('tenant_id', '=', tenantId)
    .where('id', '=', id)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  return {
    counter: row.counter,
    revoked: row.revoked,
    expired: row.expired,
    withinGrace: row.within_grace,
    tokenHash: Buffer.from(row.token_hash),
    sealedSuccessor: row.sealed_successor && Buffer.from(row.sealed_successor),
    expiresInSec: row.expires_in,
    clientId: row.client_id,
    authTime: row.auth_time,
    amr: row.amr,
    jkt: row.jkt,
  };
}

const secondsLeft = () =>
  sql<number>`floor(extract(epoch from least(idle_expires_at, absolute_expires_at) - ${now}))::int`;

export type Rotation = Readonly<{
  idleLifetimeSec: number;
  fromCounter: number;
  tokenHash: Buffer;
  sealedSuccessor: Buffer;
  macKeyId: string;
  ip: string | null;
  userAgent: string | null;
}>;

/**
 * Increments the counter if it is unchanged and the session is live.
 *
 * @returns Seconds until the new token expires; undefined when nothing changed, which under the row's lock means that
 * the session has just expired.
 */
export async function rotateSession(
  trx: Trx,
  { tenantId, sessionId: id }: SessionKey,
  rotation: Rotation,
): Promise<number | undefined> {
  const row = await trx
    .updateTable('sessions')
    .set({
      counter: rotation.fromCounter + 1,
      token_hash: rotation.tokenHash,
      sealed_successor: rotation.sealedSuccessor,
      mac_kid: rotation.macKeyId,
      rotated_at: now,
      last_used_at: now,
      idle_expires_at: sql`least(${now} + ${seconds(rotation.idleLifetimeSec)}, absolute_expires_at)`,
      ip: rotation.ip,
      user_agent: rotation.userAgent,
    })
    .where('tenant_id', '=', tenantId)
    .where('id', '=', id)
    .where('counter', '=', rotation.fromCounter)
    .where('revoked_at', 'is', null)
    .where(sql<boolean>`${now} < least(idle_expires_at, absolute_expires_at)`)
    .returning(secondsLeft().as('expires_in'))
    .executeTakeFirst();
  return row?.expires_in;
}
