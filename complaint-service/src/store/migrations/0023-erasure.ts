import type { Migration } from '@countersign/database';
import { appRole, eraserRole, upkeepRole } from '../roles.ts';
import { isAdmin, restrictRequests, tenantTable } from './policies.ts';

// What a tenant keeps. Without a row, complaints stay, and erasing a person removes their texts.
const policies = `
  create table retention_policies (
    tenant_id text primary key check (tenant_id <> ''),
    closed_days integer check (closed_days between 1 and 36500),
    action text not null check (action in ('anonymise', 'delete')),
    texts text not null check (texts in ('keep', 'remove')),
    updated_by text not null,
    updated_at timestamptz(3) not null
  )`;

// Requests to erase a person, and the record of everything that was erased.
const erasures = `
  create table erasures (
    tenant_id text not null check (tenant_id <> ''),
    id uuid not null,
    kind text not null check (kind in ('person', 'retention')),
    user_id text,
    texts text check (texts in ('keep', 'remove')),
    requested_by text,
    requested_at timestamptz(3) not null,
    finished_at timestamptz(3),
    complaints integer not null default 0,
    comments integer not null default 0,
    attachments integer not null default 0,
    primary key (tenant_id, id),
    check ((kind = 'person') = (user_id is not null))
  )`;

const erased = ['comments', 'history', 'terms', 'watchers', 'attachments', 'idempotency_keys', 'events', 'complaints'];

export const erasureMigration: Migration = {
  name: '0023-erasure',
  statements: [
    policies,
    ...tenantTable('retention_policies'),
    restrictRequests('retention_policies', { using: isAdmin }),
    `grant select, insert, update on retention_policies to ${appRole}`,
    `grant select on retention_policies to ${upkeepRole}`,
    `create policy upkeep on retention_policies to ${upkeepRole} using (true) with check (false)`,
    erasures,
    `create index erasures_waiting on erasures (requested_at) where finished_at is null`,
    ...tenantTable('erasures'),
    restrictRequests('erasures', { using: isAdmin }),
    `grant select, insert on erasures to ${appRole}`,
    `grant select on erasures to ${upkeepRole}`,
    `create policy upkeep on erasures to ${upkeepRole} using (true) with check (false)`,
    `grant select, insert, update (finished_at, complaints, comments, attachments) on erasures to ${eraserRole}`,
    `alter table complaints add column erased_at timestamptz(3)`,
    `create index complaints_to_erase on complaints (tenant_id, updated_at) where erased_at is null and not active`,
    `create index comments_by_author on comments (tenant_id, author_id)`,
    `create index history_by_actor on history (tenant_id, actor_id)`,
    ...erased.map((table) => `grant select, delete on ${table} to ${eraserRole}`),
    `grant update (title, description, complainant_id, created_by, assignee_id, reporter_name, reporter_email,
       reporter_phone, contact_preference, latitude, longitude, address, duplicate_of, revision, erased_at)
       on complaints to ${eraserRole}`,
    `grant update (author_id, body) on comments to ${eraserRole}`,
    `grant update (actor_id, detail) on history to ${eraserRole}`,
    `grant select, update (bytes) on attachment_space to ${eraserRole}`,
    `grant select, update (complaints) on statistics_by_status to ${eraserRole}`,
    `grant select, delete on team_members, members, webhook_deliveries to ${eraserRole}`,
  ],
};
