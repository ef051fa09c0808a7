import { z } from 'zod';
import { eventTypes } from '../../domain/events/event-types.ts';
import type { ComplaintEvent } from '../../store/schema/events.ts';
import { time } from '../fields.ts';

export const complaintEvent = z
  .object({
    id: z.uuid(),
    type: z.enum(eventTypes),
    complaint_id: z.uuid(),
    internal: z.boolean().describe('About an internal note. Only agents and admins receive it.'),
    actor_id: z.string(),
    actor_role: z.string(),
    detail: z
      .record(z.string(), z.union([z.string(), z.null(), z.array(z.string())]))
      .describe('Ids, statuses and names of fields: `from`, `to`, `fields`, `comment_id` or `attachment_id`.'),
    created_at: time,
  })
  .meta({ id: 'ComplaintEvent' });

export function eventJson(event: ComplaintEvent): z.output<typeof complaintEvent> {
  return {
    id: event.id,
    type: event.type,
    complaint_id: event.complaint_id,
    internal: event.internal,
    actor_id: event.actor_id,
    actor_role: event.actor_role,
    detail: Object.fromEntries(Object.entries(event.detail).map(([name, value]) => [name, copyOf(value)])),
    created_at: event.created_at.toISOString(),
  };
}

const copyOf = (value: ComplaintEvent['detail'][string]) =>
  value === null || typeof value === 'string' ? value : [...value];
