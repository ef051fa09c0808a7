import { currentUser, tenantTable } from '@countersign/database';
import { changeKinds, mailKinds } from '../../domain/mail/recipients.ts';
import { appRole, eraserRole, mailerRole, membershipRole } from '../roles.ts';
import { isAdmin, restrictRequests, seesComplaint } from './policies.ts';

/** Where two emails to the same person become one. A digest is about no single complaint. */
export const openMail = `tenant_id, (case kind when 'work' then 'news' else kind end), coalesce(user_id, ''),
  coalesce(complaint_id::text, '')`;

// A row is a change to a complaint, which has an actor, or an email to one person. `changes` has the ids of history
// entries and comments; in a digest, of complaints. Once a row is frozen, which happens before its first attempt, no
// further change becomes part of it.
const mails = [
  `create table mails (
     tenant_id text not null check (tenant_id <> ''),
     id uuid not null,
     kind text not null check (kind in (${[...changeKinds, ...mailKinds].map((kind) => `'${kind}'`).join(', ')})),
     complaint_id uuid,
     user_id text,
     actor_id text,
     changes uuid[] not null,
     frozen boolean not null default false,
     attempts integer not null default 0,
     due_at timestamptz(3) not null default clock_timestamp(),
     leased_until timestamptz(3),
     last_error text,
     queued_at timestamptz(3) not null default clock_timestamp(),
     primary key (tenant_id, id),
     foreign key (tenant_id, complaint_id) references complaints (tenant_id, id) on delete cascade,
     check ((complaint_id is null) = (kind = 'digest')))`,
  `create unique index mails_open on mails (${openMail}) where actor_id is null and not frozen`,
  `create index mails_due on mails (due_at)`,
  `create index mails_complaint on mails (tenant_id, complaint_id)`,
  ...tenantTable('mails'),
  // Complainants must not see who else receives email.
  restrictRequests('mails', { using: isAdmin, check: `actor_id = ${currentUser} and ${seesComplaint('mails')}` }),
  `grant select, insert on mails to ${appRole}`,
  `grant insert on mails to ${membershipRole}`,
  `grant select, insert, delete, update (changes, frozen, attempts, due_at, leased_until, last_error)
     on mails to ${mailerRole}`,
  `create policy mailer on mails to ${mailerRole} using (true) with check (true)`,
  `grant select, insert, delete on mails to ${eraserRole}`,
];

// What a person unsubscribed from, and when the last digest was sent. `person` is a user id, or the hash of an address.
const mailPeople = [
  `create table mail_people (
     tenant_id text not null check (tenant_id <> ''),
     person text not null,
     refused text[] not null default '{}',
     digest_at timestamptz(3),
     primary key (tenant_id, person))`,
  ...tenantTable('mail_people'),
  restrictRequests('mail_people', { using: isAdmin }),
  `grant select on mail_people to ${appRole}`,
  `grant select, insert, update (refused, digest_at) on mail_people to ${mailerRole}`,
  `grant select, delete on mail_people to ${eraserRole}`,
];

const forMailer = [
  `grant select (assignee_id, team_id) on complaints to ${mailerRole}`,
  `grant select on team_members, members to ${mailerRole}`,
];

// Instances of the previous version write to `mail_outbox`, and do not know the new kinds. Their rows become news
// without details. The table stays empty.
const forward = (row: string) =>
  `insert into mails (tenant_id, id, kind, complaint_id, user_id, actor_id, changes, queued_at)
   select tenant_id, id, case when recipient = 'all' then 'moved' else 'news' end, complaint_id, user_id, actor_id, '{}',
     queued_at from ${row} on conflict do nothing`;
const previous = [
  `alter table mail_outbox no force row level security`,
  `alter table mails no force row level security`,
  forward('mail_outbox'),
  `delete from mail_outbox`,
  `alter table mail_outbox force row level security`,
  `alter table mails force row level security`,
  `create function forward_mail() returns trigger language plpgsql as $$
   begin
     ${forward('(select new.*) as added')};
     return null;
   end $$`,
  `create trigger forward_mail before insert on mail_outbox for each row execute function forward_mail()`,
];

export const mailTables = [...mails, ...mailPeople, ...forMailer, ...previous];
