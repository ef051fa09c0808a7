import type { Trx } from '../scope.ts';

type Watched = Readonly<{ tenant_id: string; id: string }>;

/** Adds a watcher, if the user is not one already. */
export async function addWatcher(trx: Trx, complaint: Watched, userId: string, at: Date): Promise<void> {
  await trx
    .insertInto('watchers')
    .values({ tenant_id: complaint.tenant_id, complaint_id: complaint.id, user_id: userId, created_at: at })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

export async function removeWatcher(trx: Trx, complaint: Watched, userId: string): Promise<void> {
  await trx.deleteFrom('watchers').where('complaint_id', '=', complaint.id).where('user_id', '=', userId).execute();
}

/** Lists the watchers whom the transaction's user can see, oldest first. */
export async function listWatchers(trx: Trx, complaintId: string): Promise<string[]> {
  const found = await trx
    .selectFrom('watchers')
    .select('user_id')
    .where('complaint_id', '=', complaintId)
    .orderBy('created_at')
    .orderBy('user_id')
    .execute();
  return found.map(({ user_id }) => user_id);
}
