import type { Migration } from '@countersign/database';

/** Streams continue after the event with an id. The numbers stay inside: they would tell how much happens to others. */
export const eventIdsMigration: Migration = {
  name: '0031-event-ids',
  statements: [`create unique index events_by_id on events (tenant_id, id)`],
};
