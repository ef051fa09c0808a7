/** The types of events that clients and webhooks receive. */
export const eventTypes = [
  'complaint.filed',
  'complaint.edited',
  'complaint.assigned',
  'complaint.unassigned',
  'complaint.moved',
  'comment.added',
  'attachment.added',
  'attachment.removed',
] as const;
export type EventType = (typeof eventTypes)[number];

/** Details of an event: ids, statuses and names of fields. Never contains the text of a complaint or a comment. */
export type EventDetail = Readonly<Record<string, string | null | readonly string[]>>;
