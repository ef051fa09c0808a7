import { currentUser, tenantTable } from '@countersign/database';
import { eventTypes } from '../../../domain/events/event-types.ts';
import { appRole, courierRole, eraserRole, mailerRole, membershipRole, upkeepRole } from '../../roles.ts';
import { allForStaff, isAdmin, isKnown, restrictCommand, restrictRequests, seesComplaint } from '../policies.ts';

// Indexes find due and old rows. PostgreSQL can use them with `statement_timestamp()`, but not with
// `clock_timestamp()`, which differs for each row.
const olderThan = (column: string, age: string) => `${column} < statement_timestamp() - interval '${age}'`;

// Stored responses of requests that create something, so that a request can be repeated after a lost response. Removed
// an hour after they expire.
const idempotencyKeys = [
  `create table idempotency_keys (
     tenant_id text not null,
     user_id text not null,
     key text collate "C" not null,
     fingerprint bytea not null,
     complaint_id uuid,
     answer jsonb,
     created_at timestamptz(3) not null,
     primary key (tenant_id, user_id, key),
     foreign key (tenant_id, complaint_id) references complaints (tenant_id, id) on delete cascade)`,
  `create index idempotency_keys_by_complaint on idempotency_keys (tenant_id, complaint_id)`,
  `create index idempotency_keys_expired on idempotency_keys (created_at)`,
  ...tenantTable('idempotency_keys'),
  restrictRequests('idempotency_keys', { using: `user_id = ${currentUser}` }),
  `grant select, insert, delete, update (complaint_id, answer) on idempotency_keys to ${appRole}`,
  `grant select (created_at), delete on idempotency_keys to ${upkeepRole}`,
  `create policy upkeep on idempotency_keys to ${upkeepRole}
     using (${olderThan('created_at', '25 hours')}) with check (false)`,
  `grant select, delete on idempotency_keys to ${eraserRole}`,
];

// Complaint events, written in the transaction of the change, for streams and webhooks. Streams resume after an event
// id. Sequence numbers are internal, because they would reveal the activity of other tenants.
const events = [
  `create table events (
     tenant_id text not null,
     seq bigint generated always as identity,
     id uuid not null,
     complaint_id uuid not null,
     type text not null check (type in (${eventTypes.map((type) => `'${type}'`).join(', ')})),
     internal boolean not null,
     actor_id text not null,
     actor_role text not null,
     detail jsonb not null,
     created_at timestamptz(3) not null,
     primary key (tenant_id, seq),
     foreign key (tenant_id, complaint_id) references complaints (tenant_id, id) on delete cascade)`,
  `create unique index events_by_id on events (tenant_id, id)`,
  `create index events_by_complaint on events (tenant_id, complaint_id)`,
  `create index events_by_age on events (created_at)`,
  ...tenantTable('events'),
  restrictRequests('events', { using: allForStaff(`not internal and ${seesComplaint('events')}`) }),
  restrictCommand('events', 'insert', `actor_id = ${currentUser}`),
  `grant select, insert on events to ${appRole}`,
  `grant insert on events to ${membershipRole}`,
  `grant select (created_at), delete on events to ${upkeepRole}`,
  `create policy upkeep on events to ${upkeepRole} using (${olderThan('created_at', '24 hours')}) with check (false)`,
  `grant select, insert, delete on events to ${eraserRole}`,
];

// Stores no secrets: each secret is derived from the service's key and a version number.
const webhooks = [
  `create table webhooks (
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
     check ((state = 'ended') = (ended_reason is not null)))`,
  ...tenantTable('webhooks'),
  // Every change looks up the webhooks of its tenant.
  restrictRequests('webhooks', { using: isKnown, check: isAdmin }),
  restrictCommand('webhooks', 'delete', isAdmin),
  `grant select, insert, delete, update (url, events, secret_version, previous_secret_until, state, ended_reason, failures,
     failing_since, retry_at, updated_at) on webhooks to ${appRole}`,
  `grant select (tenant_id, id, state, events) on webhooks to ${membershipRole}, ${eraserRole}`,
  `grant select, update (state, ended_reason, failures, failing_since, retry_at, leased_until) on webhooks to ${courierRole}`,
  `create policy courier on webhooks to ${courierRole} using (true) with check (true)`,
];

// Waiting deliveries, and a log of past ones.
const webhookDeliveries = [
  `create table webhook_deliveries (
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
     foreign key (tenant_id, webhook_id) references webhooks (tenant_id, id) on delete cascade)`,
  `create index webhook_deliveries_waiting on webhook_deliveries (tenant_id, webhook_id, due_at, seq)
     where state = 'waiting'`,
  `create index webhook_deliveries_log on webhook_deliveries (tenant_id, webhook_id, seq)`,
  `create index webhook_deliveries_by_age on webhook_deliveries (created_at)`,
  ...tenantTable('webhook_deliveries'),
  restrictRequests('webhook_deliveries', { using: isAdmin, check: isKnown }),
  `grant select, insert, update (state, attempts, due_at, queued_at) on webhook_deliveries to ${appRole}`,
  `grant insert on webhook_deliveries to ${membershipRole}`,
  `grant select, update (state, attempts, due_at, attempted_at, status, failure, duration_ms)
     on webhook_deliveries to ${courierRole}`,
  `create policy courier on webhook_deliveries to ${courierRole} using (true) with check (true)`,
  `grant select (created_at), delete on webhook_deliveries to ${upkeepRole}`,
  `create policy upkeep on webhook_deliveries to ${upkeepRole}
     using (state <> 'waiting' and ${olderThan('created_at', '30 days')}) with check (false)`,
  // Erasing a person also removes their id from waiting deliveries.
  `grant select, insert, delete, update (payload) on webhook_deliveries to ${eraserRole}`,
];

// A row is a change to a complaint, or an email to one recipient once the recipients are known. Sent rows are removed.
const mailOutbox = [
  `create table mail_outbox (
     tenant_id text not null check (tenant_id <> ''),
     id uuid not null,
     complaint_id uuid not null,
     kind text not null check (kind in ('answered', 'assigned', 'resolved', 'closed', 'rejected', 'duplicate')),
     recipient text not null check (recipient in ('all', 'member', 'reporter')),
     user_id text,
     actor_id text,
     attempts integer not null default 0,
     due_at timestamptz(3) not null default clock_timestamp(),
     leased_until timestamptz(3),
     last_error text,
     queued_at timestamptz(3) not null default clock_timestamp(),
     primary key (tenant_id, id),
     foreign key (tenant_id, complaint_id) references complaints (tenant_id, id),
     check ((recipient = 'member') = (user_id is not null)),
     check ((recipient = 'all') = (actor_id is not null)))`,
  `create index mail_outbox_due on mail_outbox (due_at)`,
  `create index mail_outbox_complaint on mail_outbox (tenant_id, complaint_id)`,
  ...tenantTable('mail_outbox'),
  // Complainants must not see who else receives email.
  restrictRequests('mail_outbox', {
    using: isAdmin,
    check: `actor_id = ${currentUser} and ${seesComplaint('mail_outbox')}`,
  }),
  `grant select, insert on mail_outbox to ${appRole}`,
  `grant select, insert, delete, update (attempts, due_at, leased_until, last_error)
     on mail_outbox to ${mailerRole}`,
  `create policy mailer on mail_outbox to ${mailerRole} using (true) with check (true)`,
  `grant select, delete on mail_outbox to ${eraserRole}`,
];

export const deliveryTables = [...idempotencyKeys, ...events, ...webhooks, ...webhookDeliveries, ...mailOutbox];
