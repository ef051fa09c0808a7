/** How long events are kept. A client that was away for longer has to read its lists again. */
export const eventsKeptMs = 24 * 3600_000;

/** A position among the events: the number of the last one seen, and its time. */
export type EventPosition = Readonly<{ seq: number; atMs: number }>;

const shape = /^(\d{1,15})-(\d{1,15})$/;

/** The id of an event in a stream. Clients send the last one back as `Last-Event-ID`. */
export const encodeEventId = ({ seq, atMs }: EventPosition): string => `${seq}-${atMs}`;

/**
 * @returns Where to continue, or `gone` for an id that this service did not make or whose successors may have been
 *   removed meanwhile.
 */
export function decodeEventId(id: string, now: Date): EventPosition | 'gone' {
  const [, seq, at] = shape.exec(id) ?? [];
  const position = { seq: Number(seq), atMs: Number(at) };
  // A minute less than they are kept, so that none is removed between this check and the first read.
  return position.atMs > now.getTime() - eventsKeptMs + 60_000 ? position : 'gone';
}
