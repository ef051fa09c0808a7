import { insert, rowsWith } from '@countersign/database';
import { sql } from 'kysely';
import type { Trx } from '../schema.ts';
import type { Comment, HistoryEntry, HistoryEvent } from '../tables.ts';

/** @param after The id of the last entry on the previous page. */
type Page = Readonly<{ after: string | undefined; limit: number }>;

/**
 * Lists the comments that the transaction's user can see, oldest first. The row policy hides internal notes by the rule
 * `mayReadInternal` in `domain/access.ts`.
 *
 * Adding a comment requires a lock on the complaint, so that comments become visible in the order of their numbers.
 * Times would not work: a comment that commits late, or comes from an instance with a slow clock, could be behind a
 * cursor.
 */
export function listComments(trx: Trx, complaintId: string, page: Page): Promise<Comment[]> {
  const all = rowsWith(trx, 'comments', { complaint_id: complaintId }).selectAll();
  return all
    .where(isAfter('comments', complaintId, page))
    .orderBy('seq')
    .limit(page.limit)
    .execute();
}

/** Lists a complaint's history that the caller can see, oldest first. */
export function listHistory(trx: Trx, complaintId: string, page: Page): Promise<HistoryEntry[]> {
  const all = rowsWith(trx, 'history', { complaint_id: complaintId }).selectAll();
  return all
    .where(isAfter('history', complaintId, page))
    .orderBy('seq')
    .limit(page.limit)
    .execute();
}

const isAfter = (table: 'comments' | 'history', complaintId: string, { after }: Page) =>
  after === undefined
    ? sql<boolean>`true`
    : sql<boolean>`seq > (select seq from ${sql.table(table)} where complaint_id = ${complaintId} and id = ${after})`;

type Happening = Readonly<{
  id: string;
  at: Date;
  actor: Readonly<{ userId: string; role: string }>;
  event: HistoryEvent;
}>;

type Tenanted = Readonly<{ tenantId: string; userId: string }>;

/** Adds a history entry in the transaction that makes the change, and that has filed or locked the complaint. */
export async function addHistory(
  trx: Trx,
  complaint: Readonly<{ tenant_id: string; id: string }>,
  happening: Happening,
): Promise<void> {
  await insert(trx, 'history', {
    tenant_id: complaint.tenant_id,
    id: happening.id,
    complaint_id: complaint.id,
    actor_id: happening.actor.userId,
    actor_role: happening.actor.role,
    action: happening.event.action,
    detail: JSON.stringify(happening.event.detail),
    created_at: happening.at,
  });
}

/**
 * Returns when this user made the oldest of their latest `writes` filings and edits in this tenant, or undefined if
 * there are fewer. The user's next write waits until this transaction ends, so that every write counts.
 */
export async function oldestOfLatestWrites(trx: Trx, user: Tenanted, writes: number): Promise<Date | undefined> {
  const { tenantId, userId } = user;
  await sql`select pg_advisory_xact_lock(hashtextextended(${JSON.stringify([tenantId, userId])}, 0))`.execute(trx);
  // Repeats the index expression.
  const theirs = rowsWith(trx, 'history', { actor_id: userId }).where(sql<boolean>`action in ('filed', 'edited')`);
  const oldest = theirs
    .select('created_at')
    .orderBy('created_at', 'desc')
    .offset(writes - 1)
    .limit(1);
  return (await oldest.executeTakeFirst())?.created_at;
}
