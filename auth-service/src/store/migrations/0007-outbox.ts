import type { Migration } from '@countersign/database';
import { roles } from '../roles.ts';
import { rowSecurity } from './policies.ts';

const { accounts, courier, upkeep } = roles;

export const outboxMigration: Migration = {
  name: '0007-outbox',
  statements: [
    // Deliveries to other systems: written in the transaction that causes them, sent after its commit.
    `create table outbox (
       seq bigint generated always as identity primary key,
       topic text not null check (topic in ('mail', 'membership')),
       ordering_key text not null,
       payload text not null,
       attempts integer not null default 0,
       due_at timestamptz not null default clock_timestamp(),
       leased_until timestamptz,
       parked_at timestamptz,
       last_error text,
       created_at timestamptz not null default clock_timestamp())`,
    `create index outbox_by_key on outbox (ordering_key, seq) where parked_at is null`,
    `create index outbox_by_due on outbox (due_at) where parked_at is null`,
    ...rowSecurity('outbox'),
    // Roles that make changes may add deliveries, and cannot read them.
    `grant insert on outbox to ${accounts}`,
    `create policy ${accounts}_add on outbox for insert to ${accounts} with check (true)`,
    `grant select, delete, update (attempts, due_at, leased_until, parked_at, last_error) on outbox to ${courier}`,
    `create policy ${courier}_deliver on outbox to ${courier} using (true) with check (true)`,
    `grant select, delete on outbox to ${upkeep}`,
    `create policy ${upkeep}_parked on outbox to ${upkeep} using (parked_at < clock_timestamp() - interval '30 days')`,
  ],
};
