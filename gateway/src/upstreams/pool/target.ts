import type { Logger } from '@countersign/service-kit';
import { Pool } from 'undici';
import type { Upstream } from '../../config/config.ts';
import type { Code } from '../../errors.ts';
import { type Connect, forRequests } from './connector.ts';
import { type HealthChecks, startHealthChecks } from './health-checks.ts';
import { createStalledAnswers, type StalledAnswers } from './stalled-answers.ts';
import { createTargetHealth, type TargetHealth } from './target-health.ts';

/** What went wrong last, for operators. */
export type LastError = Readonly<{ code: string; atMs: number }>;

/** One address of a service, with its connections and what is known of its health. */
export type Target = {
  readonly origin: string;
  readonly host: string;
  readonly pool: Pool;
  readonly connect: Connect;
  /** Requests and upgraded connections that are not over. Whoever raises it lowers it again. */
  pending: number;
  /** Requests that hold one of the pool's connections, or wait for one. Whoever raises it lowers it again. */
  connections: number;
  /** Answers that wait for their clients. */
  readonly stalled: StalledAnswers;
  readonly health: ReturnType<TargetHealth['state']>;
  readonly lastError: LastError | undefined;
  /** Checks that failed so far. */
  readonly failedChecks: number;
  isAvailable(nowMs: number): boolean;
  passesChecks(): boolean;
  /** A whole request is on its way to it. What is returned says that it answered, or that nobody waits any more. */
  expectAnswer(): () => void;
  /** It owes as many answers as it may. */
  isFull(): boolean;
  /** A request has to wait until another one's connection is free. */
  isBusy(): boolean;
  /** A stream begins that goes on as long as its client likes. @returns Says that it is over. Undefined: there are enough. */
  takeStream(): (() => void) | undefined;
  /** A request was answered, whatever with. */
  succeeded(): void;
  /** A request got no answer. Only outages count against it. */
  failed(code: Code): void;
  /** An answer broke off. For operators; it says nothing about whether the next request will be answered. */
  broke(code: Code): void;
  /** Checks it at once, where it is checked at all. */
  checkNow(): void;
  /** Begins its health checks, where that has not been done. */
  start(): void;
  close(): Promise<void>;
};

/** Most of them are streams and whatever else goes at its client's pace: they cost memory, and the service no work. */
export const maxConnectionsPerTarget = 2_048;
/** Requests that the service is at work on, or that wait for a connection. One that still arrives, or whose answer has begun, is none. */
export const maxUnansweredPerTarget = 1_024;
/**
 * Streamed bodies that still arrive, and answers without end. Half of the connections, so that those who hold one for as long as they like
 * leave one for every request that the service may be at work on.
 */
export const maxStreamsPerTarget = maxConnectionsPerTarget / 2;
// Shorter than the 5 s after which a node service closes an idle connection, so that none is used just as it closes.
const idleConnectionMs = 4_000;
const maxHeaderSize = 16 * 1024;

type TargetDeps = Readonly<{
  upstream: Upstream;
  connect: Connect;
  logger: Logger;
  monotonicMs(): number;
  random(): number;
  /** Told after every health check. */
  onChecked(isGood: boolean): void;
  /** Requests are refused until a health check passes. */
  isUrgent(): boolean;
}>;

/** Connect errors and time-outs: nobody is there, or nobody who answers. Whatever else goes wrong, somebody answered. */
export const isOutage = (code: Code): boolean => code === 'upstream_unreachable' || code === 'upstream_timeout';

/** Opens one address. Connections are made when they are first needed. */
export function openTarget(origin: string, deps: TargetDeps): Target {
  const { upstream, connect, logger, monotonicMs, random } = deps;
  const { timeouts, health: rules } = upstream;
  const health = createTargetHealth(rules ?? { unhealthyAfter: 1, healthyAfter: 1 });
  const about = { upstream: upstream.name, target: origin };
  const pool = new Pool(origin, {
    // One request at a time: with pipelining, one that hangs would hold up others of other people.
    pipelining: 1,
    connections: maxConnectionsPerTarget,
    connect: forRequests(connect),
    headersTimeout: timeouts.responseMs,
    bodyTimeout: timeouts.idleMs,
    keepAliveTimeout: idleConnectionMs,
    maxHeaderSize,
    allowH2: false,
  });
  let lastError: LastError | undefined;
  let failedChecks = 0;
  let unanswered = 0;
  let streams = 0;
  let checks: HealthChecks | undefined;

  function onChecked(reason: string | undefined): void {
    const before = health.state(monotonicMs()).checks;
    health.checked(reason === undefined);
    deps.onChecked(reason === undefined);
    const { checks: after } = health.state(monotonicMs());
    if (reason !== undefined) {
      failedChecks += 1;
      lastError = { code: `health check: ${reason}`, atMs: Date.now() };
    }
    if (after === before) return;
    if (after === 'failing') logger.warn({ ...about, reason }, 'target is out: its health checks fail');
    else if (before === 'failing') logger.info(about, 'target is back: its health checks pass');
  }

  function broke(code: Code): void {
    lastError = { code, atMs: Date.now() };
  }

  return {
    origin,
    host: new URL(origin).host,
    pool,
    connect,
    pending: 0,
    connections: 0,
    stalled: createStalledAnswers(monotonicMs),
    get health() {
      return health.state(monotonicMs());
    },
    get lastError() {
      return lastError;
    },
    get failedChecks() {
      return failedChecks;
    },
    isAvailable(nowMs) {
      return health.isAvailable(nowMs) && !this.isFull();
    },
    passesChecks() {
      return health.passesChecks() && !this.isFull();
    },
    expectAnswer() {
      let isOver = false;
      unanswered += 1;
      return () => {
        if (!isOver) unanswered -= 1;
        isOver = true;
      };
    },
    isFull() {
      return unanswered >= maxUnansweredPerTarget;
    },
    isBusy() {
      return this.connections > maxConnectionsPerTarget;
    },
    takeStream() {
      if (streams >= maxStreamsPerTarget) return undefined;
      let isOver = false;
      streams += 1;
      return () => {
        if (!isOver) streams -= 1;
        isOver = true;
      };
    },
    succeeded: health.succeeded,
    broke,
    failed(code) {
      broke(code);
      if (!isOutage(code)) return;
      const nowMs = monotonicMs();
      const { ejections } = health.state(nowMs);
      health.failed(nowMs);
      const after = health.state(nowMs);
      if (after.ejections > ejections) {
        logger.warn(
          { ...about, code, for_ms: after.ejectedForMs },
          'target is left out for a while: its requests fail',
        );
      }
    },
    checkNow: () => checks?.hurry(),
    start() {
      const { isUrgent } = deps;
      checks ??= rules && startHealthChecks({ origin, rules, connect, onChecked, isUrgent, random });
    },
    async close() {
      await checks?.stop();
      await pool.close();
    },
  };
}
