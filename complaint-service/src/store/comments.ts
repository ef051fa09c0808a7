import type { CommentReach } from '../domain/access.ts';
import type { Trx } from './in-tenant.ts';
import type { PageWanted } from './page.ts';
import type { Comment, NewComment } from './schema.ts';

/**
 * Adds a comment. Locks the complaint until the transaction ends, so that comments become visible in the order of their
 * numbers. With times, a reader's cursor could pass a comment that commits late or on an instance whose clock is behind.
 */
export async function insertComment(trx: Trx, comment: NewComment): Promise<Comment> {
  await trx.selectFrom('complaints').select('id').where('id', '=', comment.complaint_id).forUpdate().execute();
  return trx.insertInto('comments').values(comment).returningAll().executeTakeFirstOrThrow();
}

/** Returns one page, oldest first, of a complaint that the caller may see. */
export function listComments(
  trx: Trx,
  complaintId: string,
  reach: CommentReach,
  { after, limit }: PageWanted,
): Promise<Comment[]> {
  let query = trx.selectFrom('comments').selectAll().where('complaint_id', '=', complaintId);
  if (reach === 'public') query = query.where('internal', '=', false);
  if (after !== undefined) {
    query = query.where('seq', '>', (of) =>
      of.selectFrom('comments').select('seq').where('complaint_id', '=', complaintId).where('id', '=', after.id),
    );
  }
  return query.orderBy('seq').limit(limit).execute();
}
