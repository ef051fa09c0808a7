import { tenantTable } from '@countersign/database';
import { appRole, eraserRole, upkeepRole } from '../../roles.ts';
import { isAdmin, restrictRequests } from '../policies.ts';

const waiting = `kind = 'person' and finished_at is null and cancelled_at is null`;

export const erasureTables = [
  // Without a row, complaints are kept, and erasing a person removes their texts.
  `create table retention_policies (
     tenant_id text primary key check (tenant_id <> ''),
     closed_days integer check (closed_days between 1 and 36500),
     action text not null check (action in ('anonymise', 'delete')),
     texts text not null check (texts in ('keep', 'remove')),
     updated_by text not null,
     updated_at timestamptz(3) not null)`,
  ...tenantTable('retention_policies'),
  restrictRequests('retention_policies', { using: isAdmin }),
  `grant select, insert, update on retention_policies to ${appRole}`,
  `grant select on retention_policies to ${upkeepRole}`,
  `create policy upkeep on retention_policies to ${upkeepRole} using (true) with check (false)`,

  // Requests to erase a person, and a record of everything that was erased. An admin can cancel an erasure during a
  // grace period.
  `create table erasures (
     tenant_id text not null check (tenant_id <> ''),
     id uuid not null,
     kind text not null check (kind in ('person', 'retention')),
     user_id text,
     texts text check (texts in ('keep', 'remove')),
     requested_by text,
     requested_at timestamptz(3) not null,
     due_at timestamptz(3) not null,
     finished_at timestamptz(3),
     cancelled_at timestamptz(3),
     cancelled_by text,
     session_id text,
     request_id text,
     complaints integer not null default 0,
     comments integer not null default 0,
     attachments integer not null default 0,
     primary key (tenant_id, id),
     check ((kind = 'person') = (user_id is not null)))`,
  `create index erasures_waiting on erasures (due_at) where ${waiting}`,
  `create unique index erasures_one_a_person on erasures (tenant_id, user_id) where ${waiting}`,
  ...tenantTable('erasures'),
  restrictRequests('erasures', { using: isAdmin }),
  `grant select, insert, update (cancelled_at, cancelled_by) on erasures to ${appRole}`,
  `grant select on erasures to ${upkeepRole}`,
  `create policy upkeep on erasures to ${upkeepRole} using (true) with check (false)`,
  `grant select, insert, update (finished_at, complaints, comments, attachments, cancelled_at, cancelled_by)
     on erasures to ${eraserRole}`,
];
