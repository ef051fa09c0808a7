import { rowsWith } from '@countersign/database';
import { sql } from 'kysely';
import type { Trx } from './schema.ts';
import type { MembershipUpdate } from './tables.ts';

/** Reads a member's latest membership update. Undefined if there is none. */
export function findMembershipUpdate(trx: Trx, userId: string): Promise<MembershipUpdate | undefined> {
  return rowsWith(trx, 'members', { user_id: userId }).selectAll().executeTakeFirst();
}

type Tenanted = Readonly<{ tenantId: string; userId: string }>;

/**
 * Locks a member against concurrent assignments and updates. Otherwise an agent could get a complaint just after all
 * their complaints returned to the queue.
 */
export async function lockMember(trx: Trx, { tenantId, userId }: Tenanted): Promise<void> {
  const key = JSON.stringify(['member', tenantId, userId]);
  await sql`select pg_advisory_xact_lock(hashtextextended(${key}, 0))`.execute(trx);
}

/**
 * Stores a membership update, unless a newer one is already stored: updates may arrive twice or late.
 *
 * @returns Whether this is the latest update.
 */
export async function saveMembershipUpdate(trx: Trx, update: MembershipUpdate): Promise<boolean> {
  const { role, status, sequence } = update;
  const { numInsertedOrUpdatedRows } = await trx
    .insertInto('members')
    .values(update)
    .onConflict((conflict) =>
      conflict
        .columns(['tenant_id', 'user_id'])
        .doUpdateSet({ role, status, sequence })
        // A repeated update also counts, because the first attempt may have ended before all complaints had returned to
        // the queue.
        .where('members.sequence', '<=', sequence),
    )
    .executeTakeFirst();
  return (numInsertedOrUpdatedRows ?? 0n) > 0n;
}
