import type { Migration } from '@countersign/database';
import { eraserRole } from '../roles.ts';
import { withoutForce } from './policies.ts';

/** Erasing a person changes active complaints: those they worked on return to the queue, and their own are withdrawn. */
export const erasingActiveComplaintsMigration: Migration = {
  name: '0026-erasing-active-complaints',
  statements: [
    `grant update (status, updated_at) on complaints to ${eraserRole}`,
    `grant select on categories to ${eraserRole}`,
    `grant insert on history, events, webhook_deliveries to ${eraserRole}`,
    `grant select (tenant_id, id, state, events) on webhooks to ${eraserRole}`,
    `grant insert on statistics_by_status to ${eraserRole}`,
    `grant select, insert, update (complaints) on statistics_by_age to ${eraserRole}`,
    // Requests to erase an id that stands for no person would never finish.
    ...withoutForce('erasures', [
      `update erasures set finished_at = clock_timestamp()
         where finished_at is null and user_id in ('erased', 'auth-service', 'complaint-service')`,
    ]),
  ],
};
