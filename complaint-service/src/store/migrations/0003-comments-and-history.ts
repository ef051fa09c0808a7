import type { Migration } from '@countersign/database';
import { appRole } from '../roles.ts';
import { tenantTable } from './policies.ts';

const comments = `
  create table comments (
    tenant_id text not null,
    id uuid not null,
    complaint_id uuid not null,
    author_id text not null,
    author_role text not null,
    body text not null,
    internal boolean not null,
    created_at timestamptz(3) not null,
    primary key (tenant_id, id),
    foreign key (tenant_id, complaint_id) references complaints (tenant_id, id)
  )`;

const history = `
  create table history (
    tenant_id text not null,
    id uuid not null,
    complaint_id uuid not null,
    actor_id text not null,
    actor_role text not null,
    action text not null check (action in ('filed', 'edited', 'assigned', 'moved')),
    detail jsonb not null,
    created_at timestamptz(3) not null,
    primary key (tenant_id, id),
    foreign key (tenant_id, complaint_id) references complaints (tenant_id, id)
  )`;

export const commentsAndHistoryMigration: Migration = {
  name: '0003-comments-and-history',
  statements: [
    comments,
    `create index comments_by_complaint on comments (tenant_id, complaint_id, created_at, id)`,
    ...tenantTable('comments'),
    `grant select, insert on comments to ${appRole}`,
    history,
    `create index history_by_complaint on history (tenant_id, complaint_id, created_at, id)`,
    ...tenantTable('history'),
    `grant select, insert on history to ${appRole}`,
  ],
};
