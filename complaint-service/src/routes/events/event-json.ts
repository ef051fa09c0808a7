import { jsonOf } from '@countersign/service-kit';
import { z } from 'zod';
import { eventTypes } from '../../domain/events/event-types.ts';
import type { ComplaintEvent } from '../../store/schema/deliveries.ts';
import { time } from '../fields.ts';

export const complaintEvent = z.object({
  id: z.uuid(),
  type: z.enum(eventTypes),
  complaint_id: z.uuid(),
  /** Whether the event is about an internal note. */
  internal: z.boolean(),
  actor_id: z.string(),
  actor_role: z.string(),
  /** Ids, statuses and field names: `from`, `to`, `fields`, `comment_id` or `attachment_id`. */
  detail: z.record(z.string(), z.union([z.string(), z.null(), z.array(z.string())])),
  created_at: time,
});

export const eventJson = (event: ComplaintEvent) =>
  jsonOf(complaintEvent, { ...event, detail: event.detail as z.output<typeof complaintEvent>['detail'] });
