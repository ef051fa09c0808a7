import type { Migration } from '@countersign/database';
import { eventTypes } from '../../domain/events/event-types.ts';
import { appRole, newsRole, upkeepRole } from '../roles.ts';
import { allForStaff, currentUser, restrictCommand, restrictRequests, seesComplaint, tenantTable } from './policies.ts';

// What happened to complaints, written in the transaction in which it happened. Streams and webhooks read it.
const events = `
  create table events (
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
    foreign key (tenant_id, complaint_id) references complaints (tenant_id, id) on delete cascade
  )`;

export const eventsMigration: Migration = {
  name: '0021-events',
  statements: [
    events,
    `create index events_by_complaint on events (tenant_id, complaint_id)`,
    `create index events_by_age on events (created_at)`,
    ...tenantTable('events'),
    restrictRequests('events', { using: allForStaff(`not internal and ${seesComplaint('events')}`) }),
    restrictCommand('events', 'insert', `actor_id = ${currentUser}`),
    `grant select, insert on events to ${appRole}`,
    `grant insert on events to ${newsRole}`,
    `grant select (created_at), delete on events to ${upkeepRole}`,
    `create policy upkeep on events to ${upkeepRole}
       using (created_at < clock_timestamp() - interval '24 hours') with check (false)`,
  ],
};
