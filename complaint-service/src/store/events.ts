import { insert } from '@countersign/database';
import { sql } from 'kysely';
import type { EventDetail } from '../domain/events/event-types.ts';
import { asUser, type ComplaintsDatabase, type Trx } from './schema.ts';
import type { ComplaintEvent } from './tables.ts';

/** The channel for notifications. They contain the tenant id. */
export const eventsChannel = 'countersign_complaint_events';

/**
 * Adds an event in the transaction that causes it. A lock until the commit orders a tenant's events, so that none
 * appears behind a reader's position. A transaction that changes several complaints must lock all of them before its
 * first event, to avoid deadlocks.
 */
export async function addEvent(
  trx: Trx,
  event: Omit<ComplaintEvent, 'seq' | 'detail'> & Readonly<{ detail: EventDetail }>,
): Promise<void> {
  await sql`select ${eventsLock(event.tenant_id)},
                   pg_notify(${eventsChannel}, ${event.tenant_id})`.execute(trx);
  await insert(trx, 'events', { ...event, detail: JSON.stringify(event.detail) });
}

/** Waits for transactions that have added events in a tenant. Later ones wait for this transaction. */
export async function holdEvents(trx: Trx, tenantId: string): Promise<void> {
  await sql`select ${eventsLock(tenantId)}`.execute(trx);
}

const eventsLock = (tenantId: string) => sql`pg_advisory_xact_lock(hashtextextended(${`events of ${tenantId}`}, 0))`;

/** Runs a transaction that reads all events of a tenant, for followers who each may see some of them. */
export function asFeed<T>(db: ComplaintsDatabase, tenantId: string, work: (trx: Trx) => Promise<T>): Promise<T> {
  return asUser(db, { tenantId, userId: 'event-feed', role: 'agent' }, work);
}

/** An event, and what decides who sees it. */
export type FeedEvent = ComplaintEvent & Readonly<{ complainant_id: string | null }>;

type EventRange = Readonly<{
  after: number;
  upTo?: number | undefined;
  /** Reads only events of these people's complaints. */
  complainants?: readonly string[] | undefined;
  limit: number;
}>;

/** Reads events of the transaction's tenant in order. */
export function listEvents(trx: Trx, { after, upTo, complainants, limit }: EventRange): Promise<FeedEvent[]> {
  return selectEvents(trx)
    .where('seq', '>', after)
    .$if(upTo !== undefined, (some) => some.where('seq', '<=', upTo ?? 0))
    .$if(complainants !== undefined, (some) => some.where(sql<boolean>`complainant_id = any(${complainants})`))
    .orderBy('seq')
    .limit(limit)
    .execute();
}

/** Finds events from which a follower can continue without a gap. Ignores ids that no stored event has. */
export function findEvents(trx: Trx, ids: readonly string[]): Promise<FeedEvent[]> {
  return selectEvents(trx)
    .where(sql<boolean>`events.id = any(${ids.filter((id) => uuid.test(id))}::uuid[])`)
    .where(isKept)
    .execute();
}

export async function lastSeq(trx: Trx): Promise<number> {
  const last = trx.selectFrom('events').select('seq').orderBy('seq', 'desc').limit(1);
  return (await last.executeTakeFirst())?.seq ?? 0;
}

const selectEvents = (trx: Trx) =>
  trx
    .selectFrom('events')
    .innerJoin('complaints', (join) =>
      join.onRef('complaints.tenant_id', '=', 'events.tenant_id').onRef('complaints.id', '=', 'events.complaint_id'),
    )
    .selectAll('events')
    .select('complainant_id');

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

// A minute less than the retention period, so that no event is removed between this check and the first read.
const isKept = sql<boolean>`events.created_at > clock_timestamp() - interval '23 hours 59 minutes'`;
