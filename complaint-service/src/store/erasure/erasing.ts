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

/** Adds to what an erasure has removed. */
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

export async function finishErasure(trx: Trx, id: string): Promise<void> {
  await trx.updateTable('erasures').set({ finished_at: sql<Date>`clock_timestamp()` }).where('id', '=', id).execute();
}
