import type { Comment, NewComment } from '../schema/complaints.ts';
import type { Trx } from '../scope.ts';

/**
 * Adds a comment to a complaint that this transaction has locked. The lock makes comments visible in the order of
 * their numbers. Times would not work: a comment that commits late, or comes from an instance with a slow clock,
 * could be behind a cursor.
 */
export function insertComment(trx: Trx, comment: NewComment): Promise<Comment> {
  return trx.insertInto('comments').values(comment).returningAll().executeTakeFirstOrThrow();
}

/** Lists the comments that the transaction's user can see, oldest first. */
export function listComments(
  trx: Trx,
  complaintId: string,
  { after, limit }: Readonly<{ after: string | undefined; limit: number }>,
): Promise<Comment[]> {
  let query = trx.selectFrom('comments').selectAll().where('complaint_id', '=', complaintId);
  if (after !== undefined) {
    query = query.where('seq', '>', (of) =>
      of.selectFrom('comments').select('seq').where('complaint_id', '=', complaintId).where('id', '=', after),
    );
  }
  return query.orderBy('seq').limit(limit).execute();
}
