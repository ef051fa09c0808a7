import { insert, notify, type OutboxRows, outboxRows, remove, rowsWith } from '@countersign/database';
import { sql } from 'kysely';
import type { Mailed } from '../domain/mail.ts';
import { mailerRole } from './roles.ts';
import type { ComplaintsDatabase, Trx } from './schema.ts';
import type { QueuedMail } from './tables.ts';

/** The channel that wakes the mail couriers in all instances. */
export const mailChannel = 'countersign_complaint_mail';

/** Runs a transaction in one tenant, to find recipients and texts. */
export const asMailer = <T>(db: ComplaintsDatabase, tenantId: string, work: (trx: Trx) => Promise<T>) =>
  db.transaction({ role: mailerRole, tenantId }, work);

/** Queues the emails about a change, in its transaction. */
export async function addMail(
  trx: Trx,
  mail: Pick<QueuedMail, 'tenant_id' | 'id' | 'complaint_id' | 'kind' | 'actor_id'>,
): Promise<void> {
  await insert(trx, 'mail_outbox', { ...mail, recipient: 'all' });
  await notify(trx, mailChannel);
}

/** Drops the tenant's queued emails, at the end of a transaction: it continues as the mailer. */
export async function dropMail(trx: Trx): Promise<void> {
  await sql`select set_config('role', ${mailerRole}, true)`.execute(trx);
  await sql`delete from mail_outbox where tenant_id = current_setting('app.tenant_id')`.execute(trx);
}

/** The waiting emails in all tenants. A change whose recipients are not known yet counts as one. */
export function mailsOf(db: ComplaintsDatabase): OutboxRows<QueuedMail> {
  return outboxRows({
    db,
    role: mailerRole,
    topic: 'mail',
    table: 'mail_outbox',
    key: ['tenant_id', 'id'],
    order: sql`o.due_at`,
    since: 'queued_at',
  });
}

/** The complaint members that emails contain. */
export function findMailed(trx: Trx, id: string): Promise<(Mailed & Readonly<{ title: string }>) | undefined> {
  const complaint = rowsWith(trx, 'complaints', { id });
  return complaint.select(['title', 'complainant_id', 'contact_preference', 'reporter_email']).executeTakeFirst();
}

export type Recipient = Readonly<{ recipient: 'member'; user_id: string } | { recipient: 'reporter'; user_id: null }>;

/** Replaces a queued change with one email for each recipient. */
export async function spreadMail(trx: Trx, mail: QueuedMail, recipients: readonly Recipient[]): Promise<void> {
  const { tenant_id, id: queued, complaint_id, kind, queued_at } = mail;
  await remove(trx, 'mail_outbox', { tenant_id, id: queued });
  if (recipients.length === 0) return;
  const id = sql<string>`gen_random_uuid()`;
  const rows = recipients.map((each) => ({ tenant_id, id, complaint_id, kind, queued_at, ...each, actor_id: null }));
  await insert(trx, 'mail_outbox', rows);
}
