import type { EventDetail, EventType } from '../../domain/events/event-types.ts';
import { addEvent } from '../../store/events/events.ts';
import type { HistoryEvent } from '../../store/schema/complaints.ts';
import type { Trx } from '../../store/scope.ts';
import { queueDeliveries } from '../../store/webhooks/webhooks.ts';
import type { FlowParts } from '../parts.ts';

export type News = Readonly<{
  complaint: Readonly<{ tenant_id: string; id: string }>;
  type: EventType;
  detail: EventDetail;
  internal: boolean;
  actor: Readonly<{ userId: string; role: string }>;
  at: Date;
}>;

/** Tells streams and webhooks what happens in this transaction, once it commits. */
export async function announce(trx: Trx, { newId }: Pick<FlowParts, 'newId'>, news: News): Promise<void> {
  const { tenant_id, id: complaint_id } = news.complaint;
  const event = {
    id: newId(),
    type: news.type,
    tenant_id,
    complaint_id,
    actor_id: news.actor.userId,
    actor_role: news.actor.role,
    detail: news.detail,
  };
  await addEvent(trx, { ...event, internal: news.internal, created_at: news.at });
  if (news.internal) return;
  const payload = JSON.stringify({ ...event, created_at: news.at.toISOString() });
  await queueDeliveries(trx, { tenantId: tenant_id, type: news.type, payload });
}

/** The type and detail of a change that also went into the history. Texts stay there. */
export function newsOf({ action, detail }: HistoryEvent): Pick<News, 'type' | 'detail'> {
  const type = `complaint.${action}` as const;
  if (action === 'edited') return { type, detail: { fields: detail.fields } };
  if (action === 'filed') return { type, detail: {} };
  return { type, detail: { from: detail.from, to: detail.to } };
}
