import { type SelectQueryBuilder, sql } from 'kysely';
import type { Reach } from '../domain/access.ts';
import type { Status } from '../domain/workflow.ts';
import type { Trx } from './in-tenant.ts';
import type { PageWanted } from './page.ts';
import type { Complaint, ComplaintsSchema, ComplaintsTable } from './schema.ts';

export type ComplaintChanges = Partial<
  Pick<ComplaintsTable, 'title' | 'description' | 'category' | 'status' | 'assignee_id'>
>;
export type Written = Readonly<{ revision: string; at: Date }>;
export type ComplaintFilter = PageWanted &
  Readonly<{
    status: Status | undefined;
    /** Each term must begin a word of the complaint. Undefined matches all complaints; an empty list matches none. */
    words: readonly string[] | undefined;
  }>;

export function insertComplaint(trx: Trx, complaint: ComplaintsTable): Promise<Complaint> {
  return trx.insertInto('complaints').values(complaint).returningAll().executeTakeFirstOrThrow();
}

export function findComplaint(trx: Trx, reach: Reach, id: string): Promise<Complaint | undefined> {
  return within(trx, reach).where('id', '=', id).executeTakeFirst();
}

/** Like {@link findComplaint}, and locks the complaint until this transaction ends. */
export function lockComplaint(trx: Trx, reach: Reach, id: string): Promise<Complaint | undefined> {
  return within(trx, reach).where('id', '=', id).forUpdate().executeTakeFirst();
}

/** Changes a complaint that {@link lockComplaint} returned. */
export function changeComplaint(
  trx: Trx,
  locked: Complaint,
  changes: ComplaintChanges,
  written: Written,
): Promise<Complaint> {
  return trx
    .updateTable('complaints')
    .set({ ...changes, revision: written.revision, updated_at: written.at })
    .where('id', '=', locked.id)
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** Returns one page of complaints, newest first. */
export async function listComplaints(trx: Trx, reach: Reach, filter: ComplaintFilter): Promise<Complaint[]> {
  const { status, words, after, limit } = filter;
  if (words?.length === 0) return [];
  let query = within(trx, reach);
  if (status !== undefined) query = query.where('status', '=', status);
  for (const word of words ?? []) {
    query = query.where((where) =>
      where.exists(
        where
          .selectFrom('terms')
          .select(sql<number>`1`.as('found'))
          .whereRef('terms.tenant_id', '=', 'complaints.tenant_id')
          .whereRef('terms.complaint_id', '=', 'complaints.id')
          .where('term', '>=', word)
          // The column is in byte order, so all terms with this prefix sort before this value.
          .where('term', '<', `${word}\u{10ffff}`),
      ),
    );
  }
  if (after !== undefined) {
    query = query.where(sql<boolean>`(created_at, id) < (${after.createdAt}, ${after.id})`);
  }
  return query.orderBy('created_at', 'desc').orderBy('id', 'desc').limit(limit).execute();
}

function within(trx: Trx, reach: Reach): SelectQueryBuilder<ComplaintsSchema, 'complaints', Complaint> {
  const all = trx.selectFrom('complaints').selectAll('complaints');
  return reach.kind === 'tenant' ? all : all.where('complainant_id', '=', reach.complainantId);
}
