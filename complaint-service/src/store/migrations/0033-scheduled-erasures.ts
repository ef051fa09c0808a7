import type { Migration } from '@countersign/database';
import { appRole, eraserRole } from '../roles.ts';
import { withoutForce } from './policies.ts';

const waiting = `kind = 'person' and finished_at is null and cancelled_at is null`;

/** A person is erased after a grace period, in which an admin can cancel it. A row is the record of who did what when. */
export const scheduledErasuresMigration: Migration = {
  name: '0033-scheduled-erasures',
  statements: [
    `alter table erasures add column due_at timestamptz(3), add column cancelled_at timestamptz(3),
       add column cancelled_by text, add column session_id text, add column request_id text`,
    ...withoutForce('erasures', [`update erasures set due_at = requested_at`]),
    `alter table erasures alter column due_at set not null`,
    `drop index erasures_waiting`,
    `create index erasures_waiting on erasures (due_at) where ${waiting}`,
    `create unique index erasures_one_a_person on erasures (tenant_id, user_id) where ${waiting}`,
    `grant update (cancelled_at, cancelled_by) on erasures to ${appRole}, ${eraserRole}`,
  ],
};
