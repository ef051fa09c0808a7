import { sql } from 'kysely';
import type { ComplaintEvent, NewEvent } from '../schema/deliveries.ts';
import type { Trx } from '../scope.ts';

/** The channel for notifications. They contain the tenant id. */
export const eventsChannel = 'countersign_complaint_events';

/**
 * Adds an event in the transaction that causes it. A lock until the commit orders a tenant's events, so that none
 * appears behind a reader's position. A transaction that changes several complaints must lock all of them before its
 * first event, to avoid deadlocks.
 */
export async function addEvent(trx: Trx, event: NewEvent): Promise<void> {
  await sql`select ${eventsLock(event.tenant_id)},
                   pg_notify(${eventsChannel}, ${event.tenant_id})`.execute(trx);
  await trx
    .insertInto('events')
    .values({ ...event, detail: JSON.stringify(event.detail) })
    .execute();
}

/** Waits for transactions that have added events in a tenant. Later ones wait for this transaction. */
export async function holdEvents(trx: Trx, tenantId: string): Promise<void> {
  await sql`select ${eventsLock(tenantId)}`.execute(trx);
}

const eventsLock = (tenantId: string) => sql`pg_advisory_xact_lock(hashtextextended(${`events of ${tenantId}`}, 0))`;

/** Reads the next events that the transaction's user can see. */
export function listEvents(trx: Trx, after: number, limit: number): Promise<ComplaintEvent[]> {
  return trx.selectFrom('events').selectAll().where('seq', '>', after).orderBy('seq').limit(limit).execute();
}

/**
 * Returns a stream's starting position: after the event with this id, or after the newest event that the user can see.
 *
 * @returns `missed` if the user can see no stored event with this id, so that events may have been missed.
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

// A minute less than the retention period, so that no event is removed between this check and the first read.
const isKept = sql<boolean>`created_at > clock_timestamp() - interval '23 hours 59 minutes'`;
