import { z } from 'zod';
import { combine, newestFirst } from './merge.ts';
import { time, timeOf } from './values.ts';
import { defineView } from './view.ts';

const change = z
  .object({
    at: time,
    kind: z
      .string()
      .describe('Such as `upstream`, `target`, `breaker`, `keys`, `revocations`, `configuration`, `gateway`.'),
    name: z.string(),
    from: z.string(),
    to: z.string(),
    why: z.string().nullable(),
    worker: z.int().nullable(),
  })
  .meta({ id: 'Event' });

const eventList = z.object({ events: z.array(change) });

const maxEvents = 500;

export const eventsView = defineView({
  path: '/events',
  operationId: 'listEvents',
  tag: 'State',
  summary: 'The last 20 changes of the state of each part, 500 in all, newest first',
  response: eventList,
  read: ({ states }) => ({
    events: states
      .changes()
      .slice(0, maxEvents)
      .map(({ atMs, kind, name, from, to, why }) => ({
        at: timeOf(atMs),
        kind,
        name,
        from,
        to,
        why: why === undefined || why === '' ? null : why,
        worker: null,
      })),
  }),
  number: ({ events }, worker) => ({ events: events.map((event) => ({ ...event, worker })) }),
  merge: combine({ events: (lists) => lists.flat().sort(newestFirst('at')).slice(0, maxEvents) }),
});
