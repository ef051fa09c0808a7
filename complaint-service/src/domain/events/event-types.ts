/** The types of events that streams and webhooks deliver. */
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

/** Event details: ids, statuses and field names. Never contains the text of a complaint or comment. */
export type EventDetail = Readonly<Record<string, string | null | readonly string[]>>;
