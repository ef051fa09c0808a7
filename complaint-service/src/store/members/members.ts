import { sql } from 'kysely';
import type { MemberNews } from '../schema/catalogue.ts';
import type { Trx } from '../scope.ts';

/** What the auth-service said last about a member; undefined while it said nothing. */
export function findNews(trx: Trx, userId: string): Promise<MemberNews | undefined> {
  return trx.selectFrom('members').selectAll().where('user_id', '=', userId).executeTakeFirst();
}

type Tenanted = Readonly<{ tenantId: string; userId: string }>;

/**
 * Makes assignments to a member and news of the member wait for each other, until the transaction ends. Otherwise an
 * agent could be given a complaint just after all of theirs returned to the queue.
 */
export async function lockMember(trx: Trx, { tenantId, userId }: Tenanted): Promise<void> {
  const key = JSON.stringify(['member', tenantId, userId]);
  await sql`select pg_advisory_xact_lock(hashtextextended(${key}, 0))`.execute(trx);
}

/**
 * Stores news of a member, unless the row already has a higher sequence. News may arrive twice or late.
 *
 * @returns Whether these are the latest news.
 */
export async function saveNews(trx: Trx, news: MemberNews): Promise<boolean> {
  const { role, status, sequence } = news;
  const { numInsertedOrUpdatedRows } = await trx
    .insertInto('members')
    .values(news)
    .onConflict((conflict) =>
      conflict
        .columns(['tenant_id', 'user_id'])
        .doUpdateSet({ role, status, sequence })
        // The same news again: the first attempt may have ended before all complaints had returned.
        .where('members.sequence', '<=', sequence),
    )
    .executeTakeFirst();
  return (numInsertedOrUpdatedRows ?? 0n) > 0n;
}
