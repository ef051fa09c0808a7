import { sql } from 'kysely';
import { upkeepRole } from '../roles.ts';
import type { ComplaintEvent, NewEvent } from '../schema/deliveries.ts';
import type { ComplaintsDatabase, Trx } from '../scope.ts';

/** The channel for notifications, which carry the tenant's id. */
export const eventsChannel = 'countersign_complaint_events';

/**
 * Adds an event in the transaction that causes it. Events of a tenant get their numbers under a lock that is held until
 * the commit, so none appears behind a reader's position. A transaction that changes several complaints must lock all
 * of them before the first event, or two such transactions could deadlock.
 */
export async function addEvent(trx: Trx, event: NewEvent): Promise<void> {
  await sql`select ${eventsLock(event.tenant_id)},
                   pg_notify(${eventsChannel}, ${event.tenant_id})`.execute(trx);
  await trx
    .insertInto('events')
    .values({ ...event, detail: JSON.stringify(event.detail) })
    .execute();
}

/** Waits for transactions that have added events of a tenant, and makes later ones wait for this transaction. */
export async function holdEvents(trx: Trx, tenantId: string): Promise<void> {
  await sql`select ${eventsLock(tenantId)}`.execute(trx);
}

const eventsLock = (tenantId: string) => sql`pg_advisory_xact_lock(hashtextextended(${`events of ${tenantId}`}, 0))`;

/** The next events that the transaction's user may see. */
export function listEvents(trx: Trx, after: number, limit: number): Promise<ComplaintEvent[]> {
  return trx.selectFrom('events').selectAll().where('seq', '>', after).orderBy('seq').limit(limit).execute();
}

/**
 * The starting position of a stream: after the event with this id, or after the newest one that the user may see.
 *
 * @returns `missed` if no stored event that the user may see has the id. The client may then have missed some.
 */
export async function positionAfter(trx: Trx, id: string | undefined): Promise<EventPosition> {
  const visible = trx.selectFrom('events').select('seq');
  const last =
    id !== undefined && uuid.test(id) ? await visible.where('id', '=', id).where(isKept).executeTakeFirst() : undefined;
  if (last !== undefined) return { seq: last.seq, missed: false };
  const newest = await visible.orderBy('seq', 'desc').limit(1).executeTakeFirst();
  return { seq: newest?.seq ?? 0, missed: id !== undefined };
}

export type EventPosition = Readonly<{ seq: number; missed: boolean }>;

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

// A minute less than the retention of events, so that none is removed between this check and the first read.
const isKept = sql<boolean>`created_at > clock_timestamp() - interval '23 hours 59 minutes'`;

/** Removes expired events of all tenants. The role's policy hides all others. */
export async function removeOldEvents(db: ComplaintsDatabase): Promise<number> {
  const { numDeletedRows } = await db.transaction({ role: upkeepRole }, (trx) =>
    trx.deleteFrom('events').where('created_at', '<', sql<Date>`statement_timestamp()`).executeTakeFirst(),
  );
  return Number(numDeletedRows);
}
