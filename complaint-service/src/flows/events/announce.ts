import type { EventDetail, EventType } from '../../domain/events/event-types.ts';
import { addEvent } from '../../store/events/events.ts';
import type { HistoryEvent } from '../../store/schema/complaints.ts';
import type { Trx } from '../../store/scope.ts';
import { queueDeliveries } from '../../store/webhooks/webhooks.ts';
import type { FlowParts } from '../parts.ts';

export type Announcement = Readonly<{
  complaint: Readonly<{ tenant_id: string; id: string }>;
  type: EventType;
  detail: EventDetail;
  internal: boolean;
  actor: Readonly<{ userId: string; role: string }>;
  at: Date;
}>;

/** Sends an event to streams and webhooks when this transaction commits. */
export async function announce(
  trx: Trx,
  { newId }: Pick<FlowParts, 'newId'>,
  announcement: Announcement,
): Promise<void> {
  const { tenant_id, id: complaint_id } = announcement.complaint;
  const event = {
    id: newId(),
    type: announcement.type,
    tenant_id,
    complaint_id,
    actor_id: announcement.actor.userId,
    actor_role: announcement.actor.role,
    detail: announcement.detail,
  };
  await addEvent(trx, { ...event, internal: announcement.internal, created_at: announcement.at });
  if (announcement.internal) return;
  const payload = JSON.stringify({ ...event, created_at: announcement.at.toISOString() });
  await queueDeliveries(trx, { tenantId: tenant_id, type: announcement.type, payload });
}

/** The event for a change in the history, without its texts. */
export function announcementOf({ action, detail }: HistoryEvent): Pick<Announcement, 'type' | 'detail'> {
  const type = `complaint.${action}` as const;
  if (action === 'edited') return { type, detail: { fields: detail.fields } };
  if (action === 'filed') return { type, detail: {} };
  return { type, detail: { from: detail.from, to: detail.to } };
}
