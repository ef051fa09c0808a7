import type { Migration } from '@countersign/database';
import { appRole } from '../roles.ts';
import { tenantTable } from './policies.ts';

// Ids of people and tenants come from tokens, whose issuer need not use UUIDs. Times have the milliseconds that a
// JavaScript Date has, or a cursor would skip rows within one millisecond.
const complaints = `
  create table complaints (
    tenant_id text not null check (tenant_id <> ''),
    id uuid not null,
    title text not null,
    description text not null,
    category text not null,
    status text not null check (status in ('open', 'in_progress', 'resolved', 'closed')),
    complainant_id text not null,
    assignee_id text,
    revision uuid not null,
    created_at timestamptz(3) not null,
    updated_at timestamptz(3) not null,
    primary key (tenant_id, id)
  )`;

export const complaintsMigration: Migration = {
  name: '0001-complaints',
  statements: [
    complaints,
    `create index complaints_newest on complaints (tenant_id, created_at desc, id desc)`,
    `create index complaints_by_status on complaints (tenant_id, status, created_at desc, id desc)`,
    `create index complaints_by_complainant on complaints (tenant_id, complainant_id, created_at desc, id desc)`,
    ...tenantTable('complaints'),
    `grant select, insert on complaints to ${appRole}`,
    `grant update (title, description, category, status, assignee_id, revision, updated_at) on complaints to ${appRole}`,
  ],
};
