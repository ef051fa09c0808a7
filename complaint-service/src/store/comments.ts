import { sql } from 'kysely';
import type { CommentReach } from '../domain/access.ts';
import type { Trx } from './in-tenant.ts';
import type { PageWanted } from './page.ts';
import type { Comment, CommentsTable } from './schema.ts';

export function insertComment(trx: Trx, comment: CommentsTable): Promise<Comment> {
  return trx.insertInto('comments').values(comment).returningAll().executeTakeFirstOrThrow();
}

/** Oldest first, of a complaint that the caller was found to see. */
export function listComments(
  trx: Trx,
  complaintId: string,
  reach: CommentReach,
  { after, limit }: PageWanted,
): Promise<Comment[]> {
  let query = trx.selectFrom('comments').selectAll().where('complaint_id', '=', complaintId);
  if (reach === 'public') query = query.where('internal', '=', false);
  if (after !== undefined) {
    query = query.where(sql<boolean>`(created_at, id) > (${after.createdAt}, ${after.id})`);
  }
  return query.orderBy('created_at').orderBy('id').limit(limit).execute();
}
