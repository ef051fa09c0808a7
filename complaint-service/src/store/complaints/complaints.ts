import { type ExpressionBuilder, sql } from 'kysely';
import type { Complaint, ComplaintChanges, NewComplaint } from '../schema/complaints.ts';
import type { ComplaintsSchema } from '../schema/schema.ts';
import type { Trx } from '../scope.ts';

export async function insertComplaint(trx: Trx, complaint: NewComplaint): Promise<Complaint> {
  return trx
    .insertInto('complaints')
    .values(complaint)
    .returningAll()
    .returning(categoryName)
    .executeTakeFirstOrThrow();
}

/** Finds a complaint that the transaction's user can see. */
export function findComplaint(trx: Trx, id: string): Promise<Complaint | undefined> {
  return selectComplaints(trx).where('id', '=', id).executeTakeFirst();
}

/** Like {@link findComplaint}, but locks the complaint until the transaction ends. */
export function lockComplaint(trx: Trx, id: string): Promise<Complaint | undefined> {
  return selectComplaints(trx).where('id', '=', id).forUpdate().executeTakeFirst();
}

/** Locks several complaints in a fixed order, so that transactions cannot deadlock. */
export function lockComplaints(trx: Trx, ids: readonly string[]): Promise<Complaint[]> {
  return selectComplaints(trx).where('id', 'in', ids).orderBy('id').forUpdate().execute();
}

export function lockComplaintsOf(trx: Trx, assigneeId: string, limit: number): Promise<Complaint[]> {
  const theirs = selectComplaints(trx).where('assignee_id', '=', assigneeId).where(sql<boolean>`active`);
  return theirs.orderBy('id').limit(limit).forUpdate().execute();
}

/** Changes a complaint that this transaction has locked. */
export function changeComplaint(
  trx: Trx,
  locked: Complaint,
  changes: ComplaintChanges,
  written: Readonly<{ revision: string; at: Date }>,
): Promise<Complaint> {
  return trx
    .updateTable('complaints')
    .set({ ...changes, revision: written.revision, updated_at: written.at })
    .where('id', '=', locked.id)
    .returningAll()
    .returning(categoryName)
    .executeTakeFirstOrThrow();
}

/** Whether other complaints are duplicates of this one. */
export async function hasDuplicates(trx: Trx, id: string): Promise<boolean> {
  const found = trx.selectFrom('complaints').select('id').where('duplicate_of', '=', id).limit(1);
  return (await found.execute()).length > 0;
}

export function selectComplaints(trx: Trx) {
  return trx.selectFrom('complaints').selectAll('complaints').select(categoryName);
}

function categoryName(of: ExpressionBuilder<ComplaintsSchema, 'complaints'>) {
  return of
    .selectFrom('categories')
    .select('name')
    .whereRef('categories.tenant_id', '=', 'complaints.tenant_id')
    .whereRef('categories.id', '=', 'complaints.category_id')
    .$asScalar()
    .$notNull()
    .as('category');
}

export async function replaceTerms(trx: Trx, complaint: Complaint, terms: readonly string[]): Promise<void> {
  await trx.deleteFrom('terms').where('complaint_id', '=', complaint.id).execute();
  await sql`
    insert into terms (tenant_id, term, complaint_id)
    select ${complaint.tenant_id}, term, ${complaint.id}::uuid from unnest(${terms}::text[]) as term`.execute(trx);
}
