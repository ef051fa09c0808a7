import { z } from 'zod';
import { atMost, first, joined, listOf, mergedBy, newestFirst, sum, worstFirst } from './merge.ts';
import { count, earliestTime, since, text, time } from './values.ts';

// The gateway's processes, what changed in them, and their configuration file.

/** A worker does not know its own number, so the primary fills it in. */
const worker = z.int().nullable();

const processState = z
  .object({
    worker: worker.describe('The worker number. Null without `--workers`.'),
    pid: z.int(),
    version: z.string(),
    node: z.string(),
    started: time,
    state: since,
    config_hash: z.string(),
    config_loaded: time,
    requests: count.describe('Requests since the process started.'),
    requests_per_sec: z.number().describe('Requests per second over the last minute.'),
    open_connections: count.describe('WebSockets and event streams that are open.'),
    rss_bytes: count,
    heap_used_bytes: count,
    cpu_ms: count.describe('CPU time since the process started.'),
  })
  .meta({ id: 'Process' });

export const processList = z.object({ processes: joined(processState) });

const event = z
  .object({
    at: time,
    kind: z
      .string()
      .describe(
        'The kind of part, such as `upstream`, `target`, `breaker`, `keys`, `revocations`, `configuration` or `gateway`.',
      ),
    name: z.string(),
    from: z.string(),
    to: z.string(),
    why: text,
    worker,
  })
  .meta({ id: 'Event' });
export type Event = z.output<typeof event>;

export const maxEvents = 500;

export const eventList = z.object({ events: atMost(maxEvents, joined(event, newestFirst('at'))) });

/** One line in a diff: a route key, as JSON. */
const keyChange = z.object({ key: z.string(), before: text, after: text });

const routeChange = z.object({
  route: z.string(),
  change: z.enum(['added', 'removed', 'changed']),
  keys: z.array(keyChange),
});
export type RouteChange = z.output<typeof routeChange>;

const reload = z
  .object({
    at: time,
    result: z.enum(['applied', 'refused']),
    hash: text.describe("The file's SHA-256. Null if the file cannot be read."),
    problems: z.array(z.string()).describe('The problems, each as `file:line:column: problem`.'),
    changed_routes: z.int().nullable().describe('How many routes changed. Null if the file was refused.'),
    changes: z.array(routeChange).describe('The first 100 routes that differ.'),
  })
  .meta({ id: 'Reload' });
export type Reload = z.output<typeof reload>;

const inForce = z.object({
  hash: z.string(),
  loaded: earliestTime,
  processes: mergedBy(z.int(), sum),
});

export const reloadList = z.object({
  file: z.string(),
  state: mergedBy(since.clone(), (states) => first(states.toSorted(worstFirst(['in force', 'refused'])))).describe(
    'Whether the gateway uses the file on disk.',
  ),
  in_force: listOf(inForce, ({ hash }) => hash),
  // Every process reads the same file. A process that started later has seen fewer reloads than the one shown here.
  reloads: mergedBy(z.array(reload), (lists) => first(lists.toSorted((a, b) => b.length - a.length))),
});
