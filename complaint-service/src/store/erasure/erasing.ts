import { sql } from 'kysely';
import { eraserRole } from '../roles.ts';
import type { ComplaintsDatabase, Trx } from '../scope.ts';
import { lockErasing, type Removed } from './erase.ts';

/** Runs one bounded transaction that erases in a tenant. @returns Undefined while another instance erases there. */
export function inErasing<T>(
  db: ComplaintsDatabase,
  tenantId: string,
  work: (trx: Trx) => Promise<T>,
): Promise<T | undefined> {
  return db.transaction({ role: eraserRole, tenantId }, async (trx) =>
    (await lockErasing(trx, tenantId)) ? work(trx) : undefined,
  );
}

/** Adds to the counts of an erasure. */
export async function countErased(trx: Trx, id: string, removed: Removed): Promise<void> {
  await trx
    .updateTable('erasures')
    .set((of) => ({
      complaints: of('complaints', '+', removed.complaints),
      comments: of('comments', '+', removed.comments),
      attachments: of('attachments', '+', removed.attachments.length),
    }))
    .where('id', '=', id)
    .execute();
}

/** Locks the record of a running erasure. @returns False when it is done, or was cancelled meanwhile. */
export async function lockErasure(trx: Trx, id: string): Promise<boolean> {
  const waiting = trx.selectFrom('erasures').select('id').where('id', '=', id);
  const found = await waiting.where('finished_at', 'is', null).where('cancelled_at', 'is', null).forUpdate().execute();
  return found.length > 0;
}

/** The person became an active member again in the grace period. */
export async function dropErasure(trx: Trx, id: string, by: string): Promise<void> {
  const cancelled = { cancelled_at: sql<Date>`clock_timestamp()`, cancelled_by: by };
  await trx.updateTable('erasures').set(cancelled).where('id', '=', id).execute();
}

export async function finishErasure(trx: Trx, id: string): Promise<void> {
  await trx.updateTable('erasures').set({ finished_at: sql<Date>`clock_timestamp()` }).where('id', '=', id).execute();
}
