import type { ColumnType, Generated, Insertable, Selectable } from 'kysely';
import type { EventDetail, EventType } from '../../domain/events/event-types.ts';

type EventsTable = {
  tenant_id: string;
  /** Of one tenant, in the order of the commits. */
  seq: Generated<number>;
  id: string;
  complaint_id: string;
  type: EventType;
  /** Visible to agents and admins only. */
  internal: boolean;
  actor_id: string;
  actor_role: string;
  detail: ColumnType<EventDetail, string, never>;
  created_at: Date;
};

export type ComplaintEvent = Selectable<EventsTable>;
export type NewEvent = Omit<Insertable<EventsTable>, 'seq' | 'detail'> & Readonly<{ detail: EventDetail }>;
export type EventTables = { events: EventsTable };
