import type { Migration } from '@countersign/database';
import { appRole, newsRole } from '../roles.ts';
import { isKnown, restrictRequests, tenantTable } from './policies.ts';

// What the auth-service said last about each member. The higher sequence is the newer.
const members = `
  create table members (
    tenant_id text not null check (tenant_id <> ''),
    user_id text not null check (user_id <> ''),
    role text not null,
    status text not null check (status in ('active', 'disabled')),
    sequence bigint not null,
    primary key (tenant_id, user_id)
  )`;

export const membersMigration: Migration = {
  name: '0010-members',
  statements: [
    members,
    ...tenantTable('members'),
    // A complainant who reopens a complaint needs to know whether its agent is still there.
    restrictRequests('members', { using: isKnown }),
    `grant select on members to ${appRole}`,
    `grant select, insert, update (role, status, sequence) on members to ${newsRole}`,
    // Returns the complaints of a former agent to the queue.
    `grant select, update (assignee_id, status, revision, updated_at) on complaints to ${newsRole}`,
    `grant select on categories to ${newsRole}`,
    `grant insert on history to ${newsRole}`,
    `grant select, insert, update (complaints) on statistics_by_status to ${newsRole}`,
    `grant select, insert, update (complaints) on statistics_by_age to ${newsRole}`,
  ],
};
