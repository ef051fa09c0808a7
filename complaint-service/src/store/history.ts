import type { Trx } from './in-tenant.ts';
import type { PageWanted } from './page.ts';
import type { Complaint, HistoryEntry, HistoryEvent } from './schema.ts';

export type Happening = Readonly<{
  id: string;
  at: Date;
  actor: Readonly<{ userId: string; role: string }>;
  event: HistoryEvent;
}>;

/**
 * Belongs in the transaction of the change itself: neither is there without the other. That transaction has filed or locked
 * the complaint, so entries become visible in the order of their numbers.
 */
export async function addHistory(trx: Trx, complaint: Complaint, happening: Happening): Promise<void> {
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

/** Oldest first, of a complaint that the caller was found to see. */
export function listHistory(trx: Trx, complaintId: string, { after, limit }: PageWanted): Promise<HistoryEntry[]> {
  let query = trx.selectFrom('history').selectAll().where('complaint_id', '=', complaintId);
  if (after !== undefined) {
    query = query.where('seq', '>', (of) =>
      of.selectFrom('history').select('seq').where('complaint_id', '=', complaintId).where('id', '=', after.id),
    );
  }
  return query.orderBy('seq').limit(limit).execute();
}
