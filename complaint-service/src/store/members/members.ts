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
