import type { Migration } from '@countersign/database';
import { appRole, eraserRole, mailerRole } from '../roles.ts';
import { currentUser, isAdmin, restrictRequests, seesComplaint, tenantTable } from './policies.ts';

// A row is one change of a complaint, or one recipient of its mail once the recipients are known. Mailed rows are removed.
const outbox = `
  create table mail_outbox (
    tenant_id text not null check (tenant_id <> ''),
    id uuid not null,
    complaint_id uuid not null,
    kind text not null check (kind in ('answered', 'assigned', 'resolved', 'closed', 'rejected', 'duplicate')),
    recipient text not null check (recipient in ('all', 'member', 'reporter')),
    user_id text,
    actor_id text,
    attempts integer not null default 0,
    due_at timestamptz(3) not null default clock_timestamp(),
    queued_at timestamptz(3) not null default clock_timestamp(),
    primary key (tenant_id, id),
    foreign key (tenant_id, complaint_id) references complaints (tenant_id, id),
    check ((recipient = 'member') = (user_id is not null)),
    check ((recipient = 'all') = (actor_id is not null))
  )`;

export const mailOutboxMigration: Migration = {
  name: '0024-mail-outbox',
  statements: [
    outbox,
    `create index mail_outbox_due on mail_outbox (due_at)`,
    `create index mail_outbox_complaint on mail_outbox (tenant_id, complaint_id)`,
    ...tenantTable('mail_outbox'),
    // Complainants do not learn who else gets a mail.
    restrictRequests('mail_outbox', {
      using: isAdmin,
      check: `actor_id = ${currentUser} and ${seesComplaint('mail_outbox')}`,
    }),
    `grant select, insert on mail_outbox to ${appRole}`,
    `grant select, insert, delete, update (attempts, due_at) on mail_outbox to ${mailerRole}`,
    `create policy mailer on mail_outbox to ${mailerRole} using (true) with check (true)`,
    // In one tenant at a time, like the recipients.
    `grant select (tenant_id, id, title, complainant_id, contact_preference, reporter_email) on complaints to ${mailerRole}`,
    `grant select on watchers to ${mailerRole}`,
    `grant select, delete on mail_outbox to ${eraserRole}`,
  ],
};
