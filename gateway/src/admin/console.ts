import type { Lag } from '@countersign/console';
import { consoleRoutes } from '@countersign/console';
import type { Logger } from '@countersign/process-kit';
import type { Router } from 'express';
import { version } from '../config/version.ts';
import { apiOfPages, apiRoutes, type ConsoleData, ownData } from './api/admin-api.ts';
import { timeOf } from './describe.ts';
import { createTurns } from './in-turn.ts';
import { observeStates } from './observe/observe-states.ts';
import { ReloadLog } from './observe/reload-log.ts';
import { StateHistory } from './observe/state-history.ts';
import type { ConsoleSources } from './sources.ts';

/** What the console records while the gateway runs. It is created before the parts that report to it. */
export type Observations = Readonly<ReturnType<typeof createObservations>>;

export function createObservations(nowMs: () => number) {
  const reloads = new ReloadLog();
  const lags = new Map<string, Lag>();
  return {
    states: new StateHistory(),
    reloads,
    lags,
    startedAtMs: nowMs(),
    onReload: reloads.add,
    onLag(issuer: string, lagMs: number) {
      const { count = 0, max_ms = 0 } = lags.get(issuer) ?? {};
      const last = { last_ms: lagMs, last_at: timeOf(nowMs()) };
      lags.set(issuer, { ...last, max_ms: Math.max(max_ms, lagMs), count: count + 1 });
    },
  };
}

export function apiAndPages(data: ConsoleData, nowMs: () => number): readonly Router[] {
  const inTurn = createTurns();
  return [apiRoutes(data, inTurn), consoleRoutes({ api: apiOfPages(data), inTurn, version: version(), nowMs })];
}

const observeEveryMs = 1_000;

export function createConsole(sources: ConsoleSources, logger: Logger) {
  const { states, traffic, nowMs } = sources;
  let timer: NodeJS.Timeout | undefined;

  async function observe(): Promise<void> {
    traffic.history.sample(nowMs());
    try {
      states.observe(await observeStates(sources), nowMs());
    } catch (error) {
      logger.error({ err: error }, "the console cannot read the gateway's state");
    }
  }

  return {
    data: ownData(sources),
    start() {
      void observe();
      timer = setInterval(() => void observe(), observeEveryMs).unref();
    },
    stop: () => clearInterval(timer),
  };
}
