import { sql } from 'kysely';
import type { RetentionPolicy } from '../schema/erasure.ts';
import type { Trx } from '../scope.ts';

/** The data about a person in a tenant's complaints. */
export type Traces = Readonly<{
  /** Their own complaints, and how many of them are active. */
  complaints: number;
  active_complaints: number;
  /** Other people's active complaints that are assigned to them. These return to the queue. */
  assigned_complaints: number;
  /** Includes other people's attachments that are removed with the person's complaints. */
  comments: number;
  attachments: number;
  history_entries: number;
}>;

export async function countTraces(
  trx: Trx,
  { userId, texts }: Readonly<{ userId: string; texts: RetentionPolicy['texts'] }>,
): Promise<Traces> {
  const own = sql`select id from complaints where complainant_id = ${userId}`;
  const withTheirs = texts === 'remove' ? sql`or complaint_id in (${own})` : sql``;
  const { rows } = await sql<Traces>`select
    (select count(*) from complaints where complainant_id = ${userId})::int as complaints,
    (select count(*) from complaints where complainant_id = ${userId} and active)::int as active_complaints,
    (select count(*) from complaints where assignee_id = ${userId} and active)::int as assigned_complaints,
    (select count(*) from comments where author_id = ${userId} ${withTheirs})::int as comments,
    (select count(*) from attachments where uploader_id = ${userId} ${withTheirs})::int as attachments,
    (select count(*) from history where actor_id = ${userId})::int as history_entries`.execute(trx);
  return rows[0] as Traces;
}
