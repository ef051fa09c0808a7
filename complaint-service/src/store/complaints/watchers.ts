import type { Trx } from '../scope.ts';

type Watched = Readonly<{ tenant_id: string; id: string }>;

/** Adds a watcher, unless the user is one already. */
export async function addWatcher(trx: Trx, complaint: Watched, userId: string, at: Date): Promise<void> {
  await trx
    .insertInto('watchers')
    .values({ tenant_id: complaint.tenant_id, complaint_id: complaint.id, user_id: userId, created_at: at })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}
