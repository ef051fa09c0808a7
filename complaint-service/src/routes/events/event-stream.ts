import { once } from 'node:events';
import { jsonOf } from '@countersign/service-kit';
import type { Response } from 'express';
import { z } from 'zod';
import { eventTypes } from '../../domain/events/event-types.ts';
import type { ComplaintEvent } from '../../store/tables.ts';
import { route, time } from '../route.ts';

const complaintEvent = z.object({
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

export const eventsPath = '/v1/complaints/events';

/** A reader that reads nothing for this long is disconnected. It can continue with `Last-Event-ID`. */
export const slowClientMs = 30_000;

export const eventsQuery = z.strictObject({
  last_event_id: z.string().max(40).optional().describe('Use this if you cannot send the `Last-Event-ID` header.'),
});

const streamHeaders = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store',
  // Keeps nginx from buffering events.
  'x-accel-buffering': 'no',
};

const members = Object.keys(complaintEvent.shape)
  .map((name) => `\`${name}\``)
  .join(', ');

export const eventRoutes = [
  route(`GET ${eventsPath}`, {
    operationId: 'followEvents',
    tag: 'Events',
    summary: 'Stream complaint events',
    description: `Server-sent events: \`event\` is the type, \`data\` JSON with ${members}. \`internal\` marks events about internal notes; \`detail\` holds \`from\`, \`to\`, \`fields\`, \`comment_id\` or \`attachment_id\`. Agents and admins receive all events in their tenant. Complainants receive events about their own complaints, without internal notes. After a disconnect of up to 24 hours, \`Last-Event-ID\` resumes without a gap. A \`reset\` event means that events were missed: reload the lists. The same path upgrades to a WebSocket, which sends \`{id, event}\` for each event; \`last_event_id\` in the query resumes it.`,
    callers: ['user'],
    query: eventsQuery,
    headers: z.object({ 'last-event-id': z.string().max(40).optional() }),
    responses: { 200: { schema: z.string(), mediaType: 'text/event-stream' } },
    errors: ['insufficient_role', 'too_many_streams'],
  }).handle(async ({ req, res, identity, headers, query }, { feed, streams }) => {
    // Node.js would send the headers only with the first body byte.
    if (req.method === 'HEAD') return res.writeHead(200, streamHeaders).end();
    const close = streams.open(identity);
    const gone = new AbortController();
    res.once('close', () => gone.abort());
    try {
      const lastId = headers['last-event-id'] ?? query.last_event_id;
      // Waits until the caller has read the previous events.
      const onQuiet = () => res.headersSent && !res.writableNeedDrain && res.write(':\n\n');
      for await (const events of feed.follow(identity, { lastId, signal: gone.signal, onQuiet })) {
        // Sends the headers once the position is known, so that the caller misses no later event.
        if (!res.headersSent) {
          res.writeHead(200, streamHeaders);
          await write(res, 'retry: 2000\n\n', gone.signal);
        }
        await write(res, serverSent(events), gone.signal);
      }
      return res.end();
    } catch (error) {
      if (!gone.signal.aborted) throw error;
    } finally {
      close();
    }
  }),
];

/** Formats an event for an event stream (HTML standard). JSON has no line breaks, so an event is one line of data. */
function serverSent(events: ComplaintEvent[] | 'missed'): string {
  if (events === 'missed') return 'event: reset\ndata: {}\n\n';
  return events
    .map((event) => `id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify(eventJson(event))}\n\n`)
    .join('');
}

/** Waits until the caller has read the text, or has read nothing for too long. */
async function write(res: Response, text: string, gone: AbortSignal): Promise<void> {
  if (res.write(text)) return;
  const slow = AbortSignal.timeout(slowClientMs);
  try {
    await once(res, 'drain', { signal: AbortSignal.any([gone, slow]) });
  } catch (error) {
    if (slow.aborted) res.destroy();
    throw error;
  }
}
