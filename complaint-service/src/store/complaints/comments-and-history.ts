import { sql } from 'kysely';
import type { Comment, HistoryEntry, HistoryEvent, NewComment } from '../complaint-tables.ts';
import type { Trx } from '../schema.ts';

/** @param after The id of the last entry on the previous page. */
type Page = Readonly<{ after: string | undefined; limit: number }>;

const isAfter = (table: 'comments' | 'history', complaintId: string, { after }: Page) =>
  after === undefined
    ? sql<boolean>`true`
    : sql<boolean>`seq > (select seq from ${sql.table(table)} where complaint_id = ${complaintId} and id = ${after})`;

/**
 * Adds a comment to a complaint that this transaction has locked. The lock makes comments visible in the order of
 * their numbers. Times would not work: a comment that commits late, or comes from an instance with a slow clock,
 * could be behind a cursor.
 */
export function insertComment(trx: Trx, comment: NewComment): Promise<Comment> {
  return trx.insertInto('comments').values(comment).returningAll().executeTakeFirstOrThrow();
}

/**
 * Lists the comments that the transaction's user can see, oldest first. The row policy hides internal notes by the rule
 * `mayReadInternal` in `domain/access.ts`.
 */
export function listComments(trx: Trx, complaintId: string, page: Page): Promise<Comment[]> {
  const all = trx.selectFrom('comments').selectAll().where('complaint_id', '=', complaintId);
  return all
    .where(isAfter('comments', complaintId, page))
    .orderBy('seq')
    .limit(page.limit)
    .execute();
}

type Happening = Readonly<{
  id: string;
  at: Date;
  actor: Readonly<{ userId: string; role: string }>;
  event: HistoryEvent;
}>;

type Tenanted = Readonly<{ tenantId: string; userId: string }>;

/**
 * Adds an entry in the transaction that makes the change. That transaction has filed or locked the complaint, so
 * entries become visible in the order of their numbers.
 */
export async function addHistory(
  trx: Trx,
  complaint: Readonly<{ tenant_id: string; id: string }>,
  happening: Happening,
): Promise<void> {
  await trx
    .insertInto('history')
    .values({
      tenant_id: complaint.tenant_id,
      id: happening.id,
      complaint_id: complaint.id,
      actor_id: happening.actor.userId,
      actor_role: happening.actor.role,
      action: happening.event.action,
      detail: JSON.stringify(happening.event.detail),
      created_at: happening.at,
    })
    .execute();
}

/** Lists a complaint's history that the caller can see, oldest first. */
export function listHistory(trx: Trx, complaintId: string, page: Page): Promise<HistoryEntry[]> {
  const all = trx.selectFrom('history').selectAll().where('complaint_id', '=', complaintId);
  return all
    .where(isAfter('history', complaintId, page))
    .orderBy('seq')
    .limit(page.limit)
    .execute();
}

/**
 * Returns when this user made the oldest of their latest `writes` filings and edits in this tenant, or undefined if
 * there are fewer. The user's next write waits until this transaction ends, so that every write counts.
 */
export async function oldestOfLatestWrites(trx: Trx, user: Tenanted, writes: number): Promise<Date | undefined> {
  const { tenantId, userId } = user;
  await sql`select pg_advisory_xact_lock(hashtextextended(${JSON.stringify([tenantId, userId])}, 0))`.execute(trx);
  const oldest = await trx
    .selectFrom('history')
    .select('created_at')
    .where('actor_id', '=', userId)
    // Repeats the index expression.
    .where(sql<boolean>`action in ('filed', 'edited')`)
    .orderBy('created_at', 'desc')
    .offset(writes - 1)
    .limit(1)
    .executeTakeFirst();
  return oldest?.created_at;
}
