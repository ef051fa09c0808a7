import { z } from 'zod';
import { combine, sum } from './merge.ts';
import { describeTraffic } from './traffic.ts';
import { count, since, sinceOf, time, timeOf } from './values.ts';
import { defineView } from './view.ts';

const processState = z
  .object({
    worker: z.int().nullable().describe('Null without `--workers`.'),
    pid: z.int(),
    version: z.string(),
    node: z.string(),
    started: time,
    state: since,
    config_hash: z.string(),
    config_loaded: time,
    requests: count.describe('Since the process started.'),
    requests_per_sec: z.number().describe('Over the last minute.'),
    open_connections: count.describe('WebSockets and event streams.'),
    rss_bytes: count,
    heap_used_bytes: count,
    cpu_ms: count.describe('Since the process started.'),
  })
  .meta({ id: 'Process' });
const processList = z.object({ processes: z.array(processState) });

export const processesView = defineView({
  path: '/workers',
  operationId: 'listWorkers',
  tag: 'State',
  summary: 'The processes that serve',
  response: processList,
  read(sources) {
    const { current, reloadState, states, startedAtMs, traffic, nowMs, openConnections, version } = sources;
    const { rss, heapUsed } = process.memoryUsage();
    const { user, system } = process.cpuUsage();
    return {
      processes: [
        {
          worker: null,
          pid: process.pid,
          version,
          node: process.version,
          started: timeOf(startedAtMs),
          state: sinceOf(states.of('gateway', ''), 'not ready', startedAtMs),
          config_hash: current().config.hash,
          config_loaded: timeOf(reloadState().loadedAtMs),
          requests: sum([...traffic.history.statuses().values()].flatMap((statuses) => [...statuses.values()])),
          requests_per_sec: rateOf(traffic.history.ofProcess(nowMs()), nowMs() - startedAtMs),
          open_connections: openConnections(),
          rss_bytes: rss,
          heap_used_bytes: heapUsed,
          cpu_ms: Math.round((user + system) / 1000),
        },
      ],
    };
  },
  merge: combine({ processes: (lists) => lists.flat() }),
  number: ({ processes }, worker) => ({ processes: processes.map((one) => ({ ...one, worker })) }),
});

const rateOf = (series: Parameters<typeof describeTraffic>[0], aliveMs: number): number =>
  describeTraffic(series, aliveMs).last_minute.requests_per_sec;
