import type { Migration } from '@countersign/database';
import { appRole } from '../roles.ts';
import { currentUser, restrictRequests, tenantTable } from './policies.ts';

// The answers to requests that create something, for clients that repeat a request because its answer was lost.
const idempotencyKeys = `
  create table idempotency_keys (
    tenant_id text not null,
    user_id text not null,
    key text collate "C" not null,
    fingerprint bytea not null,
    complaint_id uuid,
    answer jsonb,
    created_at timestamptz(3) not null,
    primary key (tenant_id, user_id, key),
    foreign key (tenant_id, complaint_id) references complaints (tenant_id, id) on delete cascade
  )`;

export const idempotencyKeysMigration: Migration = {
  name: '0011-idempotency-keys',
  statements: [
    idempotencyKeys,
    `create index idempotency_keys_by_age on idempotency_keys (tenant_id, created_at)`,
    `create index idempotency_keys_by_complaint on idempotency_keys (tenant_id, complaint_id)`,
    ...tenantTable('idempotency_keys'),
    restrictRequests('idempotency_keys', { using: `user_id = ${currentUser}` }),
    `grant select, insert, delete, update (complaint_id, answer) on idempotency_keys to ${appRole}`,
  ],
};
