import { type Answers, maxEvents, sum } from '@countersign/admin-api';
import { timeOf } from '../describe.ts';
import { type ConsoleSources, stateOf } from './sources.ts';

export function readProcesses(sources: ConsoleSources): Answers['/api/workers'] {
  const { current, reloadState, startedAtMs, traffic, nowMs, openConnections, version } = sources;
  const { rss, heapUsed } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  const { last_minute } = traffic.history.ofProcess(nowMs());
  return {
    processes: [
      {
        worker: null,
        pid: process.pid,
        version,
        node: process.version,
        started: timeOf(startedAtMs),
        state: stateOf(sources, 'gateway', '', 'not ready'),
        config_hash: current().config.hash,
        config_loaded: timeOf(reloadState().loadedAtMs),
        requests: sum([...traffic.history.statuses().values()].flatMap((statuses) => [...statuses.values()])),
        requests_per_sec: last_minute.requests_per_sec,
        open_connections: openConnections(),
        rss_bytes: rss,
        heap_used_bytes: heapUsed,
        cpu_ms: Math.round((user + system) / 1000),
      },
    ],
  };
}

export const readEvents = ({ states }: ConsoleSources): Answers['/api/events'] => ({
  events: states
    .changes()
    .slice(0, maxEvents)
    .map((change) => ({ ...change, worker: null })),
});

export function readReloads(sources: ConsoleSources): Answers['/api/reloads'] {
  const { file, hash } = sources.current().config;
  return {
    file,
    state: stateOf(sources, 'configuration', '', 'in force'),
    in_force: [{ hash, loaded: timeOf(sources.reloadState().loadedAtMs), processes: 1 }],
    reloads: [...sources.reloads.all()],
  };
}
