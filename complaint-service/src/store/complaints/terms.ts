import { sql } from 'kysely';
import type { Complaint } from '../schema/complaints.ts';
import type { Trx } from '../scope.ts';

/** Replaces the search terms of a complaint. */
export async function replaceTerms(trx: Trx, complaint: Complaint, terms: readonly string[]): Promise<void> {
  await trx.deleteFrom('terms').where('complaint_id', '=', complaint.id).execute();
  await sql`
    insert into terms (tenant_id, term, complaint_id)
    select ${complaint.tenant_id}, term, ${complaint.id}::uuid from unnest(${terms}::text[]) as term`.execute(trx);
}
