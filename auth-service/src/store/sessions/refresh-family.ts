import { type Insertable, sql } from 'kysely';
import type { FamilyState } from '../../domain/sessions/refresh-decision.ts';
import { absoluteLifetimeSec, graceSec, idleLifetimeSec } from '../../domain/sessions/session-rules.ts';
import { inSeconds, now } from '../clock.ts';
import type { AuthSchema, Row } from '../schema.ts';
import type { Trx } from '../scope.ts';

export type NewSession = Omit<
  Insertable<AuthSchema['sessions']>,
  'counter' | 'absolute_expires_at' | 'idle_expires_at'
>;

/** Starts a session with counter 1. */
export async function insertSession(trx: Trx, session: NewSession): Promise<void> {
  const lifetimes = {
    absolute_expires_at: inSeconds(absoluteLifetimeSec),
    idle_expires_at: inSeconds(idleLifetimeSec),
  };
  await trx
    .insertInto('sessions')
    .values({ ...session, ...lifetimes, counter: 1 })
    .execute();
}

/** Returns a session's user, who never changes, so this needs no lock. */
export async function findSessionUser(trx: Trx, tenantId: string, id: string): Promise<string | undefined> {
  const row = await trx
    .selectFrom('sessions')
    .select('user_id')
    .where('tenant_id', '=', tenantId)
    .where('id', '=', id)
    .executeTakeFirst();
  return row?.user_id;
}

/** Identifies a session within its tenant. */
export type SessionKey = Readonly<{ tenantId: string; sessionId: string }>;

export type LockedSession = Omit<FamilyState, 'holderActive'> &
  Readonly<{
    tokenHash: Uint8Array;
    sealedSuccessor: Uint8Array | null;
    /** Whole seconds until the refresh token stops working. */
    expiresInSec: number;
    clientId: string;
    authTime: Date;
    amr: readonly string[];
    jkt: string | null;
  }>;

/** Locks a session, so that the second of two concurrent refreshes sees the result of the first one. */
export async function lockSession(
  trx: Trx,
  { tenantId, sessionId: id }: SessionKey,
): Promise<LockedSession | undefined> {
  const locked = trx.selectFrom('sessions').select('id').where('tenant_id', '=', tenantId).where('id', '=', id);
  await locked.forUpdate().execute();
  // A second statement, because the first one may have read the clock before it waited for the lock.
  return trx
    .selectFrom('sessions')
    .select(['counter', 'client_id as clientId', 'auth_time as authTime', 'amr', 'jkt'])
    .select(['token_hash as tokenHash', 'sealed_successor as sealedSuccessor'])
    .select([
      sql<boolean>`revoked_at is not null`.as('revoked'),
      sql<boolean>`${now} >= least(idle_expires_at, absolute_expires_at)`.as('expired'),
      sql<boolean>`coalesce(rotated_at >= ${inSeconds(-graceSec)}, false)`.as('withinGrace'),
      secondsLeft().as('expiresInSec'),
    ])
    .where('tenant_id', '=', tenantId)
    .where('id', '=', id)
    .executeTakeFirst();
}

const secondsLeft = () =>
  sql<number>`floor(extract(epoch from least(idle_expires_at, absolute_expires_at) - ${now}))::int`;

export type Rotation = Pick<Row<'sessions'>, 'token_hash' | 'sealed_successor' | 'mac_kid' | 'ip' | 'user_agent'> &
  Readonly<{ fromCounter: number }>;

/**
 * Stores a session's next refresh token, and increments its counter.
 *
 * @returns Seconds until the new token expires, or undefined if the session has just expired.
 */
export async function rotateSession(
  trx: Trx,
  { tenantId, sessionId: id }: SessionKey,
  { fromCounter, ...rotation }: Rotation,
): Promise<number | undefined> {
  const row = await trx
    .updateTable('sessions')
    .set({
      ...rotation,
      counter: fromCounter + 1,
      rotated_at: now,
      last_used_at: now,
      idle_expires_at: sql`least(${inSeconds(idleLifetimeSec)}, absolute_expires_at)`,
    })
    .where('tenant_id', '=', tenantId)
    .where('id', '=', id)
    .where('counter', '=', fromCounter)
    .where('revoked_at', 'is', null)
    .where(sql<boolean>`${now} < least(idle_expires_at, absolute_expires_at)`)
    .returning(secondsLeft().as('expires_in'))
    .executeTakeFirst();
  return row?.expires_in;
}
