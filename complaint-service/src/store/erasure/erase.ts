import { insertRow, notify, rowsWith, update, updating } from '@countersign/database';
import { sql } from 'kysely';
import { erasedId } from '../../domain/people.ts';
import { selectComplaints } from '../complaints/complaints.ts';
import { eraserRole, upkeepRole } from '../roles.ts';
import type { ComplaintsDatabase, Trx } from '../schema.ts';
import type { Complaint, Erasure, NewErasure, RetentionPolicy } from '../tables.ts';

export type Traces = Readonly<{
  complaints: number;
  active_complaints: number;
  assigned_complaints: number;
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

const erasedText = '[erased]';

/** The rows that a transaction removed. The files of `attachments` are removed after the commit. */
export type Removed = Readonly<{ complaints: number; comments: number; attachments: readonly string[] }>;

/**
 * Locks a tenant, so that only one instance at a time erases in it.
 *
 * @returns False if another instance has the lock.
 */
export async function lockErasing(trx: Trx, tenantId: string): Promise<boolean> {
  const { rows } = await sql<{ locked: boolean }>`
    select pg_try_advisory_xact_lock(hashtextextended(${`erasing ${tenantId}`}, 0)) as locked`.execute(trx);
  return rows[0]?.locked ?? false;
}

/** Locks finished complaints that last changed before `before`. */
export async function lockExpired(trx: Trx, before: Date, limit: number): Promise<string[]> {
  const rows = await trx
    .selectFrom('complaints')
    .select('id')
    .where('status', 'in', ['closed', 'rejected', 'duplicate', 'withdrawn'])
    .where(sql<boolean>`not active and erased_at is null`)
    .where('updated_at', '<', before)
    .orderBy('updated_at')
    .limit(limit)
    .forUpdate()
    .execute();
  return rows.map(({ id }) => id);
}

export function lockComplaintsOfPerson(trx: Trx, userId: string, limit: number): Promise<Complaint[]> {
  const theirs = selectComplaints(trx).where('complainant_id', '=', userId);
  return theirs.orderBy('id').limit(limit).forUpdate().execute();
}

/** Deletes locked complaints and everything that belongs to them. */
export async function deleteComplaints(trx: Trx, ids: readonly string[]): Promise<Removed> {
  const attachments = await deleteAttachments(trx, sql`complaint_id in (${sql.join(ids)})`);
  const comments = await deleteOf(trx, 'comments', ids);
  for (const table of ['terms', 'watchers', 'history'] as const) await deleteOf(trx, table, ids);
  await trx.updateTable('complaints').set({ duplicate_of: null }).where('duplicate_of', 'in', ids).execute();
  await sql`
    update statistics_by_status counted set complaints = counted.complaints - gone.count
    from (select tenant_id, category_id, status, count(*) from complaints where id in (${sql.join(ids)}) group by 1, 2, 3) gone
    where counted.tenant_id = gone.tenant_id and counted.category_id = gone.category_id
      and counted.status = gone.status`.execute(trx);
  await trx.deleteFrom('complaints').where('id', 'in', ids).execute();
  return { complaints: ids.length, comments, attachments };
}

/** Removes people and texts from locked complaints, which then never change. Keeps what the statistics count. */
export async function anonymiseComplaints(trx: Trx, ids: readonly string[]): Promise<Removed> {
  const attachments = await deleteAttachments(trx, sql`complaint_id in (${sql.join(ids)})`);
  const comments = await deleteOf(trx, 'comments', ids);
  for (const table of ['watchers', 'events', 'idempotency_keys', 'mails'] as const) await deleteOf(trx, table, ids);
  await removeTexts(trx, ids);
  await sql`update history set actor_id = ${erasedId} where complaint_id in (${sql.join(ids)})`.execute(trx);
  await removePersons(trx, ids);
  await sql`update complaints set created_by = ${erasedId}, assignee_id = null, erased_at = clock_timestamp()
    where id in (${sql.join(ids)})`.execute(trx);
  return { complaints: ids.length, comments, attachments };
}

/** Removes the person from their own locked complaints. Keeps the texts. */
export async function eraseComplainant(trx: Trx, ids: readonly string[]): Promise<Removed> {
  // Stored responses for repeated requests contain the whole complaint.
  await deleteOf(trx, 'idempotency_keys', ids);
  await removePersons(trx, ids);
  return { complaints: ids.length, comments: 0, attachments: [] };
}

/** Removes a person from all other rows, one batch at a time. @returns Undefined if no row was left. */
export async function eraseTraces(
  trx: Trx,
  { userId, texts, limit }: Readonly<{ userId: string; texts: RetentionPolicy['texts']; limit: number }>,
): Promise<Removed | undefined> {
  const part = (table: string, column: string, condition = sql``) =>
    sql`(tenant_id, id) in (select tenant_id, id from ${sql.table(table)} where ${sql.ref(column)} = ${userId} ${condition} limit ${limit})`;
  const attachments = await deleteAttachments(trx, part('attachments', 'uploader_id'));
  const body = texts === 'remove' ? sql`, body = ${erasedText}` : sql``;
  const updateComments = sql`update comments set author_id = ${erasedId} ${body} where ${part('comments', 'author_id')}`;
  const comments = await run(trx, updateComments);
  const detail = texts === 'remove' ? sql`, detail = detail - 'changes' - 'reason'` : sql``;
  const statements = [
    sql`update history set actor_id = ${erasedId} ${detail} where ${part('history', 'actor_id')}`,
    sql`update history set detail = ${replaced('from')} where ${detailNames('from', userId, limit)}`,
    sql`update history set detail = ${replaced('to')} where ${detailNames('to', userId, limit)}`,
    sql`update complaints set created_by = ${erasedId} where ${part('complaints', 'created_by')}`,
    sql`update complaints set assignee_id = null where ${part('complaints', 'assignee_id', sql`and not active`)}`,
    sql`delete from events where actor_id = ${userId} or detail ->> 'to' = ${userId} or detail ->> 'from' = ${userId}`,
    sql`delete from webhook_deliveries where state <> 'waiting' and position(to_json(${userId}::text)::text in payload) > 0`,
    ...(['actor_id', 'from', 'to'] as const).map((member) => eraseFromWaiting(member, userId)),
    sql`delete from mails where actor_id = ${userId}`,
    sql`delete from mail_people where person = ${userId}`,
    ...['watchers', 'team_members', 'members', 'idempotency_keys', 'mails'].map(
      (table) => sql`delete from ${sql.table(table)} where user_id = ${userId}`,
    ),
  ];
  let total = attachments.length + comments;
  for (const statement of statements) total += await run(trx, statement);
  return total === 0 ? undefined : { complaints: 0, comments, attachments };
}

/**
 * Removes the person from waiting deliveries. Replaces only whole members, because an id may equal a status or a role.
 */
function eraseFromWaiting(member: 'actor_id' | 'from' | 'to', userId: string) {
  const [named, anonymous] = [userId, erasedId].map((id) => `"${member}":${JSON.stringify(id)}`);
  const types = member === 'actor_id' ? sql`` : sql`and type in ('complaint.assigned', 'complaint.unassigned')`;
  return sql`update webhook_deliveries set payload = replace(payload, ${named}, ${anonymous})
    where state = 'waiting' ${types} and position(${named}::text in payload) > 0`;
}

const replaced = (member: string) => sql`jsonb_set(detail, array[${member}::text], to_jsonb(${erasedId}::text))`;
const detailNames = (member: string, userId: string, limit: number) =>
  sql`(tenant_id, id) in (select tenant_id, id from history
        where action in ('assigned', 'unassigned') and detail ->> ${member}::text = ${userId} limit ${limit})`;

async function removeTexts(trx: Trx, ids: readonly string[]): Promise<void> {
  await deleteOf(trx, 'terms', ids);
  await sql`update history set detail = detail - 'changes' - 'reason' where complaint_id in (${sql.join(ids)})`.execute(
    trx,
  );
  await sql`update complaints set title = ${erasedText}, description = ${erasedText}, address = null, latitude = null,
    longitude = null, revision = gen_random_uuid() where id in (${sql.join(ids)})`.execute(trx);
}

async function removePersons(trx: Trx, ids: readonly string[]): Promise<void> {
  await sql`delete from terms where personal and complaint_id in (${sql.join(ids)})`.execute(trx);
  await sql`update complaints set complainant_id = null, reporter_name = null, reporter_email = null,
    reporter_phone = null, contact_preference = 'none', revision = gen_random_uuid()
    where id in (${sql.join(ids)})`.execute(trx);
}

async function deleteAttachments(trx: Trx, which: ReturnType<typeof sql>): Promise<string[]> {
  const { rows } = await sql<{ id: string; bytes: number }>`
    delete from attachments where ${which} returning id, bytes`.execute(trx);
  const bytes = rows.reduce((sum, row) => sum + row.bytes, 0);
  if (rows.length > 0) await sql`update attachment_space set bytes = bytes - ${bytes}::bigint`.execute(trx);
  return rows.map(({ id }) => id);
}

function deleteOf(trx: Trx, table: string, ids: readonly string[]): Promise<number> {
  return run(trx, sql`delete from ${sql.table(table)} where complaint_id in (${sql.join(ids)})`);
}

async function run(trx: Trx, statement: ReturnType<typeof sql>): Promise<number> {
  return Number((await statement.execute(trx)).numAffectedRows ?? 0n);
}

/** The channel that wakes the upkeep in all instances. */
export const upkeepChannel = 'countersign_complaint_upkeep';

/** The policy of a tenant that has not set one. */
export const usualPolicy = { closed_days: null, action: 'anonymise', texts: 'remove' } as const;

/** The condition of the index `erasures_waiting`. */
const isWaiting = sql<boolean>`kind = 'person' and finished_at is null and cancelled_at is null`;

export function readPolicy(trx: Trx): Promise<RetentionPolicy | undefined> {
  return trx.selectFrom('retention_policies').selectAll().executeTakeFirst();
}

export async function insertErasure(trx: Trx, erasure: NewErasure): Promise<Erasure> {
  await notify(trx, upkeepChannel);
  return insertRow(trx, 'erasures', erasure);
}

export function listErasures(trx: Trx, limit: number): Promise<Erasure[]> {
  const newest = trx.selectFrom('erasures').selectAll().orderBy('requested_at', 'desc').orderBy('id', 'desc');
  return newest.limit(limit).execute();
}

/** Cancels a person's erasure that is not due yet. @returns Undefined if there is no such erasure. */
export function cancelErasure(
  trx: Trx,
  { id, by, at }: Readonly<{ id: string; by: string; at: Date }>,
): Promise<Erasure | undefined> {
  const cancel = updating(trx, 'erasures', { id }, { cancelled_at: at, cancelled_by: by });
  return cancel.where(isWaiting).where('due_at', '>', at).returningAll().executeTakeFirst();
}

/** Finds the due erasures in all tenants, and the time of the next one. */
export function pendingErasures(
  db: ComplaintsDatabase,
  now: Date,
): Promise<Readonly<{ persons: Erasure[]; policies: RetentionPolicy[]; nextAt: Date | undefined }>> {
  return db.transaction({ role: upkeepRole }, async (trx) => {
    const waiting = trx.selectFrom('erasures').where(isWaiting).orderBy('due_at');
    const next = await waiting.select('due_at').where('due_at', '>', now).limit(1).executeTakeFirst();
    return {
      persons: await waiting.selectAll().where('due_at', '<=', now).limit(100).execute(),
      policies: await trx.selectFrom('retention_policies').selectAll().where('closed_days', 'is not', null).execute(),
      nextAt: next?.due_at,
    };
  });
}

/** Runs one short erasure transaction in a tenant. @returns Undefined while another instance erases there. */
export function inErasing<T>(
  db: ComplaintsDatabase,
  tenantId: string,
  work: (trx: Trx) => Promise<T>,
): Promise<T | undefined> {
  return db.transaction({ role: eraserRole, tenantId }, async (trx) =>
    (await lockErasing(trx, tenantId)) ? work(trx) : undefined,
  );
}

export async function countErased(trx: Trx, id: string, removed: Removed): Promise<void> {
  await update(
    trx,
    'erasures',
    { id },
    {
      complaints: (of) => of('complaints', '+', removed.complaints),
      comments: (of) => of('comments', '+', removed.comments),
      attachments: (of) => of('attachments', '+', removed.attachments.length),
    },
  );
}

/**
 * Locks the record of a running erasure.
 *
 * @returns False if it is done, or was canceled meanwhile.
 */
export async function lockErasure(trx: Trx, id: string): Promise<boolean> {
  const waiting = rowsWith(trx, 'erasures', { id }).where(isWaiting).select('id').forUpdate();
  return (await waiting.executeTakeFirst()) !== undefined;
}

/** @param cancelledBy Set if the erasure was not carried out. */
export async function endErasure(trx: Trx, id: string, cancelledBy?: string): Promise<void> {
  const at = sql<Date>`clock_timestamp()`;
  const end = cancelledBy === undefined ? { finished_at: at } : { cancelled_at: at, cancelled_by: cancelledBy };
  await update(trx, 'erasures', { id }, end);
}
