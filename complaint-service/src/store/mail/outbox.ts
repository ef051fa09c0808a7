import type { OutboxDepth } from '@countersign/service-kit';
import { sql } from 'kysely';
import type { Mailed } from '../../domain/mail/mail-rules.ts';
import { mailerRole } from '../roles.ts';
import type { QueuedMail } from '../schema/mail.ts';
import type { ComplaintsDatabase, Trx } from '../scope.ts';

/** Wakes the mail couriers of all instances. */
export const mailChannel = 'countersign_complaint_mail';

// Of the statement, so that an index can be searched for it.
const now = sql<Date>`statement_timestamp()`;
const inMs = (ms: number) => sql<Date>`statement_timestamp() + make_interval(secs => ${ms / 1000}::float8)`;

/** Runs one transaction in one tenant, to find recipients and texts. */
export const asMailer = <T>(db: ComplaintsDatabase, tenantId: string, work: (trx: Trx) => Promise<T>) =>
  db.transaction({ role: mailerRole, tenantId }, work);

/** Queues the mails about a change, in its transaction. */
export async function addMail(
  trx: Trx,
  mail: Pick<QueuedMail, 'tenant_id' | 'id' | 'complaint_id' | 'kind' | 'actor_id'>,
): Promise<void> {
  await trx
    .insertInto('mail_outbox')
    .values({ ...mail, recipient: 'all' })
    .execute();
  await sql`select pg_notify(${mailChannel}, '')`.execute(trx);
}

/** Leases due mails of all tenants. After the lease, unless it is renewed, another instance takes over from a dead process. */
export async function claimMails(
  db: ComplaintsDatabase,
  { limit, leaseMs }: Readonly<{ limit: number; leaseMs: number }>,
): Promise<QueuedMail[]> {
  const { rows } = await db.transaction({ role: mailerRole }, (trx) =>
    sql<QueuedMail>`
      update mail_outbox set due_at = ${inMs(leaseMs)}
      where (tenant_id, id) in (
        select tenant_id, id from mail_outbox where due_at <= ${now} order by due_at limit ${limit} for update skip locked)
      returning *`.execute(trx),
  );
  return rows;
}

/** Renews the leases of mails that are being sent. */
export async function renewMails(db: ComplaintsDatabase, mails: Iterable<QueuedMail>, leaseMs: number): Promise<void> {
  const held = Array.from(mails, ({ tenant_id, id }) => sql`(${tenant_id}, ${id}::uuid)`);
  await db.transaction({ role: mailerRole }, (trx) =>
    sql`update mail_outbox set due_at = ${inMs(leaseMs)} where (tenant_id, id) in (${sql.join(held)})`.execute(trx),
  );
}

/** Milliseconds until a mail is due; undefined when none waits. */
export async function nextMailMs(db: ComplaintsDatabase): Promise<number | undefined> {
  const { rows } = await db.transaction({ role: mailerRole }, (trx) =>
    sql<{ ms: number | null }>`
      select (extract(epoch from min(due_at) - ${now}) * 1000)::float8 as ms from mail_outbox`.execute(trx),
  );
  const ms = rows[0]?.ms ?? undefined;
  return ms === undefined ? undefined : Math.max(0, ms);
}

/** What waits in all tenants. A change whose recipients are not known yet counts as one mail. */
export async function mailDepth(db: ComplaintsDatabase): Promise<OutboxDepth> {
  const { rows } = await db.transaction({ role: mailerRole }, (trx) =>
    sql<Omit<OutboxDepth, 'topic'>>`
      select count(*)::int as waiting, coalesce(extract(epoch from ${now} - min(queued_at)), 0)::float8 as "oldestSec"
      from mail_outbox`.execute(trx),
  );
  return { topic: 'mail', waiting: 0, oldestSec: 0, ...rows[0] };
}

/** The complaint of a mail, as far as mails tell of it. */
export function findMailed(trx: Trx, id: string): Promise<(Mailed & Readonly<{ title: string }>) | undefined> {
  return trx
    .selectFrom('complaints')
    .select(['title', 'complainant_id', 'contact_preference', 'reporter_email'])
    .where('id', '=', id)
    .executeTakeFirst();
}

export type Recipient = Readonly<{ recipient: 'member'; user_id: string } | { recipient: 'reporter'; user_id: null }>;

/** Replaces a queued change by one mail for each recipient. */
export async function spreadMail(trx: Trx, mail: QueuedMail, recipients: readonly Recipient[]): Promise<void> {
  await removeMail(trx, mail);
  if (recipients.length === 0) return;
  const { tenant_id, complaint_id, kind, queued_at } = mail;
  const id = sql<string>`gen_random_uuid()`;
  const rows = recipients.map((each) => ({ tenant_id, id, complaint_id, kind, queued_at, ...each, actor_id: null }));
  await trx.insertInto('mail_outbox').values(rows).execute();
}

export async function removeMail(trx: Trx, { tenant_id, id }: QueuedMail): Promise<void> {
  await trx.deleteFrom('mail_outbox').where('tenant_id', '=', tenant_id).where('id', '=', id).execute();
}

/** Sets when a mail is tried again. */
export async function postponeMail(
  trx: Trx,
  { tenant_id, id, attempts }: QueuedMail,
  { delayMs, failures }: Readonly<{ delayMs: number; failures: number }>,
): Promise<void> {
  await trx
    .updateTable('mail_outbox')
    .set({ attempts: attempts + failures, due_at: inMs(delayMs) })
    .where('tenant_id', '=', tenant_id)
    .where('id', '=', id)
    .execute();
}
