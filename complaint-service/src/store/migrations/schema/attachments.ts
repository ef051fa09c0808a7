import { currentUser, tenantTable } from '@countersign/database';
import { appRole, eraserRole, upkeepRole } from '../../roles.ts';
import { allForStaff, isKnown, isStaff, restrictCommand, restrictRequests, seesComplaint } from '../policies.ts';

/** Attached files and each tenant's storage use. A file's name is the id of its row. */
export const attachmentTables = [
  // An attachment of an internal note is internal too.
  `create table attachments (
     tenant_id text not null,
     id uuid not null,
     complaint_id uuid not null,
     comment_id uuid,
     uploader_id text not null,
     name text not null,
     media_type text not null check (media_type in
       ('image/jpeg', 'image/png', 'image/webp', 'application/pdf', 'text/plain')),
     bytes bigint not null check (bytes > 0),
     width integer,
     height integer,
     internal boolean not null,
     created_at timestamptz(3) not null,
     primary key (tenant_id, id),
     foreign key (tenant_id, complaint_id) references complaints (tenant_id, id),
     foreign key (tenant_id, comment_id) references comments (tenant_id, id))`,
  `create index attachments_by_complaint on attachments (tenant_id, complaint_id, id)`,
  `create index attachments_by_comment on attachments (tenant_id, comment_id) where comment_id is not null`,
  // Each upload adds up what the user attached within a day.
  `create index attachments_of_uploader on attachments (tenant_id, uploader_id, created_at desc) include (bytes)`,
  ...tenantTable('attachments'),
  `grant select, insert, delete on attachments to ${appRole}`,
  restrictRequests('attachments', { using: allForStaff(`not internal and ${seesComplaint('attachments')}`) }),
  restrictCommand('attachments', 'insert', `uploader_id = ${currentUser}`),
  restrictCommand('attachments', 'delete', `${isStaff} or uploader_id = ${currentUser}`),
  // Upkeep removes stored files without a row. Their names are ids without the tenant.
  `create index attachments_by_id on attachments (id)`,
  `grant select (id) on attachments to ${upkeepRole}`,
  `create policy upkeep on attachments to ${upkeepRole} using (true) with check (false)`,
  `grant select, delete on attachments to ${eraserRole}`,

  `create table attachment_space (
     tenant_id text primary key check (tenant_id <> ''),
     bytes bigint not null check (bytes >= 0))`,
  ...tenantTable('attachment_space'),
  restrictRequests('attachment_space', { using: isKnown }),
  `grant select, insert, update (bytes) on attachment_space to ${appRole}`,
  `grant select, update (bytes) on attachment_space to ${eraserRole}`,
];
