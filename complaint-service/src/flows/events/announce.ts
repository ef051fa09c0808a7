import type { EventDetail, EventType } from '../../domain/events/event-types.ts';
import { addEvent } from '../../store/events.ts';
import type { Trx } from '../../store/schema.ts';
import type { HistoryEvent } from '../../store/tables.ts';
import { queueDeliveries } from '../../store/webhooks/webhooks.ts';
import type { FlowParts } from '../parts.ts';

type Announcement = Readonly<{
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
  { complaint, type, detail, internal, actor, at }: Announcement,
): Promise<void> {
  const { tenant_id, id: complaint_id } = complaint;
  const acted = { actor_id: actor.userId, actor_role: actor.role };
  const event = { id: newId(), type, tenant_id, complaint_id, ...acted, detail };
  await addEvent(trx, { ...event, internal, created_at: at });
  if (internal) return;
  const payload = JSON.stringify({ ...event, created_at: at.toISOString() });
  await queueDeliveries(trx, { tenantId: tenant_id, type, payload });
}

/** The event for a change in the history, without its texts. */
export function announcementOf({ action, detail }: HistoryEvent): Pick<Announcement, 'type' | 'detail'> {
  const type = `complaint.${action}` as const;
  if (action === 'edited') return { type, detail: { fields: detail.fields } };
  if (action === 'filed') return { type, detail: {} };
  return { type, detail: { from: detail.from, to: detail.to } };
}
