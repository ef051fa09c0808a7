import type { Migration } from '@countersign/database';
import { appRole, courierRole, newsRole, upkeepRole } from '../roles.ts';
import { isAdmin, isKnown, restrictCommand, restrictRequests, tenantTable } from './policies.ts';

// No secret is stored: each is derived from the service's key and its version.
const webhooks = `
  create table webhooks (
    tenant_id text not null check (tenant_id <> ''),
    id uuid not null,
    url text not null,
    events text[] not null,
    signature text not null check (signature in ('ed25519', 'hmac-sha256')),
    secret_version integer not null default 1,
    previous_secret_until timestamptz(3),
    state text not null check (state in ('active', 'paused', 'ended')),
    ended_reason text check (ended_reason in ('gone', 'failing')),
    failures integer not null default 0,
    failing_since timestamptz(3),
    retry_at timestamptz(3),
    leased_until timestamptz(3),
    created_by text not null,
    created_at timestamptz(3) not null,
    updated_at timestamptz(3) not null,
    primary key (tenant_id, id),
    check ((state = 'ended') = (ended_reason is not null))
  )`;

// What is to be delivered, and the log of what was.
const deliveries = `
  create table webhook_deliveries (
    tenant_id text not null,
    seq bigint generated always as identity,
    id uuid not null,
    webhook_id uuid not null,
    type text not null,
    payload text not null,
    state text not null default 'waiting' check (state in ('waiting', 'delivered', 'failed')),
    attempts integer not null default 0,
    due_at timestamptz(3) not null default clock_timestamp(),
    queued_at timestamptz(3) not null default clock_timestamp(),
    attempted_at timestamptz(3),
    status integer,
    failure text,
    duration_ms integer,
    created_at timestamptz(3) not null default clock_timestamp(),
    primary key (tenant_id, id),
    foreign key (tenant_id, webhook_id) references webhooks (tenant_id, id) on delete cascade
  )`;

export const webhooksMigration: Migration = {
  name: '0022-webhooks',
  statements: [
    webhooks,
    ...tenantTable('webhooks'),
    // Every change looks up the webhooks that it is for.
    restrictRequests('webhooks', { using: isKnown, check: isAdmin }),
    restrictCommand('webhooks', 'delete', isAdmin),
    `grant select, insert, delete on webhooks to ${appRole}`,
    `grant update (url, events, secret_version, previous_secret_until, state, ended_reason, failures, failing_since,
       retry_at, updated_at) on webhooks to ${appRole}`,
    `grant select (tenant_id, id, state, events) on webhooks to ${newsRole}`,
    `grant select, update (state, ended_reason, failures, failing_since, retry_at, leased_until) on webhooks to ${courierRole}`,
    `create policy courier on webhooks to ${courierRole} using (true) with check (true)`,
    deliveries,
    `create index webhook_deliveries_due on webhook_deliveries (tenant_id, webhook_id, due_at) where state = 'waiting'`,
    `create index webhook_deliveries_log on webhook_deliveries (tenant_id, webhook_id, seq)`,
    `create index webhook_deliveries_by_age on webhook_deliveries (created_at)`,
    ...tenantTable('webhook_deliveries'),
    restrictRequests('webhook_deliveries', { using: isAdmin, check: isKnown }),
    `grant select, insert, update (state, attempts, due_at, queued_at) on webhook_deliveries to ${appRole}`,
    `grant insert on webhook_deliveries to ${newsRole}`,
    `grant select, update (state, attempts, due_at, attempted_at, status, failure, duration_ms)
       on webhook_deliveries to ${courierRole}`,
    `create policy courier on webhook_deliveries to ${courierRole} using (true) with check (true)`,
    `grant select (created_at), delete on webhook_deliveries to ${upkeepRole}`,
    `create policy upkeep on webhook_deliveries to ${upkeepRole}
       using (state <> 'waiting' and created_at < clock_timestamp() - interval '30 days') with check (false)`,
  ],
};
