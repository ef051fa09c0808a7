import { createSocketOpener, type Dispatcher, type SocketOpener, singleUse } from '@countersign/http1-client';
import type { Logger } from '@countersign/service-kit';
import type { Upstream } from '../../config/config.ts';
import type { Code } from '../../errors.ts';
import { type HealthChecks, startHealthChecks } from './health-checks.ts';
import { createStalledResponses, type StalledResponses } from './open-connections.ts';
import { openPool } from './open-pool.ts';
import { RequestOutcomes } from './request-outcomes.ts';
import { createTargetHealth, type TargetHealth } from './target-health.ts';
import type { TlsFiles } from './upstream-tls-files.ts';

/** The last failure, for operators. */
export type LastError = Readonly<{ code: string; atMs: number }>;

/** One address of a service, with its connections and its health. */
export type Target = {
  readonly origin: string;
  readonly host: string;
  readonly pool: Dispatcher;
  readonly opener: SocketOpener;
  /** Opens a pool whose requests each have a connection of their own. */
  openSingleUse(timeoutMs: number): Dispatcher;
  /** Unfinished requests and upgraded connections. Each caller that raises it lowers it again. */
  pending: number;
  /** Requests that hold a connection of the pool or are queued for one. Each caller that raises it lowers it again. */
  connections: number;
  /** Requests that are complete but have no response. Each caller that raises it lowers it again. */
  unanswered: number;
  /** Streams that may last as long as their clients like. Each caller that raises it lowers it again. */
  streams: number;
  /** Responses whose clients have stopped reading. */
  readonly stalled: StalledResponses;
  readonly health: ReturnType<TargetHealth['state']>;
  readonly lastError: LastError | undefined;
  readonly outcomes: Pick<RequestOutcomes, 'lastSuccessMs' | 'failing'>;
  /** How many checks have failed. */
  readonly failedChecks: number;
  isAvailable(nowMs: number): boolean;
  passesChecks(): boolean;
  /** The limit of requests without a response is reached. */
  isFull(): boolean;
  /** A new request must wait for a connection. */
  isBusy(): boolean;
  /**
   * Ends responses whose clients have stopped reading, while a request waits for one of their connections.
   *
   * @param giveUp Called when the request has waited as long as it may.
   * @returns A function that stops this.
   */
  freeConnections(giveUp: () => void): () => void;
  /** Another stream may begin. */
  hasRoomForStream(): boolean;
  /** A response began, of any status. It may still break off. */
  responded(): void;
  /** A response arrived whole, of any status; or an endless one began. */
  succeeded(): void;
  /** A request got no response. Only outages count towards an ejection. */
  failed(code: Code): void;
  /** A response was invalid or broke off. It does not count towards an ejection. */
  responseBroke(code: Code): void;
  /** Runs a health check now, if checks are configured. */
  checkNow(): void;
  /** Starts the health checks. Calling it again is harmless. */
  start(): void;
  close(): Promise<void>;
};

/** Most of these are streams and slow clients: they cost memory, but the service does no work for them. */
export const maxConnectionsPerTarget = 2_048;
/**
 * Requests that the service works on or that are queued. A request that is still arriving, or whose response has
 * started, does not count.
 */
export const maxUnansweredPerTarget = 1_024;
/**
 * Streamed bodies that are still arriving, and endless responses. Half of the connections, so that streams always leave
 * a connection for each request that the service may be working on.
 */
export const maxStreamsPerTarget = maxConnectionsPerTarget / 2;
// Shorter than the 5 s after which a Node service closes an idle connection, so that a request never meets a closing
// one.
const idleConnectionMs = 4_000;
const evictEveryMs = 250;

type TargetDeps = Readonly<{
  upstream: Upstream;
  tls: TlsFiles | undefined;
  logger: Logger;
  monotonicMs(): number;
  random(): number;
  /** Called after every health check. */
  onChecked(isGood: boolean): void;
  /** Whether requests are refused until a health check passes. */
  isUrgent(): boolean;
}>;

/** Connect errors and timeouts: the service is unreachable or does not respond. After any other error it responded. */
export const isOutage = (code: Code): boolean => code === 'upstream_unreachable' || code === 'upstream_timeout';

/** Opens one address. Connections open when they are first needed. */
export function openTarget(origin: string, deps: TargetDeps): Target {
  const { upstream, tls, logger, monotonicMs, random } = deps;
  const { timeouts, health: rules } = upstream;
  const health = createTargetHealth(rules ?? { unhealthyAfter: 1, healthyAfter: 1 });
  const logFields = { upstream: upstream.name, target: origin };
  const { host } = new URL(origin);
  const opener = createSocketOpener({
    origin,
    connectTimeoutMs: timeouts.connectMs,
    tls: tls && (() => tls.current()),
  });
  const openSingleUse = (timeoutMs: number) => openPool(upstream.httpClient, origin, singleUse(opener, timeoutMs));
  const pool = openPool(upstream.httpClient, origin, {
    opener,
    connections: maxConnectionsPerTarget,
    headersTimeout: timeouts.responseMs,
    bodyTimeout: timeouts.idleMs,
    keepAliveTimeout: idleConnectionMs,
  });
  const outcomes = new RequestOutcomes();
  let lastError: LastError | undefined;
  let failedChecks = 0;
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
    if (after === 'failing') logger.warn({ ...logFields, reason }, 'target is unhealthy: its health checks fail');
    else if (before === 'failing') logger.info(logFields, 'target is healthy again: its health checks pass');
  }

  function responseBroke(code: Code): void {
    const nowMs = Date.now();
    lastError = { code, atMs: nowMs };
    outcomes.failed(code, nowMs);
  }

  return {
    origin,
    host,
    pool,
    opener,
    openSingleUse,
    outcomes,
    pending: 0,
    connections: 0,
    unanswered: 0,
    streams: 0,
    stalled: createStalledResponses(monotonicMs),
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
    isFull() {
      return this.unanswered >= maxUnansweredPerTarget;
    },
    isBusy() {
      return this.connections > maxConnectionsPerTarget;
    },
    freeConnections(giveUp) {
      const { endOldest } = this.stalled;
      endOldest();
      // Counted in turns, so that hardly any time passes while the event loop is blocked.
      let turnsLeft = Math.ceil(timeouts.connectMs / evictEveryMs);
      // Repeated, because another queued request may get the connection that this frees up.
      const eviction = setInterval(() => {
        turnsLeft -= 1;
        if (turnsLeft > 0) endOldest();
        else giveUp();
      }, evictEveryMs);
      return () => clearInterval(eviction);
    },
    hasRoomForStream() {
      return this.streams < maxStreamsPerTarget;
    },
    responded: health.responded,
    succeeded: () => outcomes.succeeded(Date.now()),
    responseBroke,
    failed(code) {
      responseBroke(code);
      if (!isOutage(code)) return;
      const nowMs = monotonicMs();
      const { ejections } = health.state(nowMs);
      health.failed(nowMs);
      const after = health.state(nowMs);
      if (after.ejections > ejections) {
        logger.warn({ ...logFields, code, for_ms: after.ejectedForMs }, 'target is ejected: its requests fail');
      }
    },
    checkNow: () => checks?.checkNow(),
    start() {
      const { isUrgent } = deps;
      checks ??= rules && startHealthChecks({ rules, openSingleUse, onChecked, isUrgent, random });
    },
    async close() {
      await checks?.stop();
      await pool.close();
    },
  };
}

/** What one attempt counts at its target, and takes back when it ends. */
export class TargetCounts {
  readonly #target: Target;
  #isUnanswered = false;
  #isAnswered = false;
  #holdsStream = false;

  constructor(target: Target) {
    this.#target = target;
    target.pending += 1;
    target.connections += 1;
  }

  /** The request is complete. It waits for a response, unless that came first. */
  awaitResponse(): void {
    if (this.#isAnswered) return;
    this.#isUnanswered = true;
    this.#target.unanswered += 1;
  }

  answered(): void {
    if (this.#isUnanswered) this.#target.unanswered -= 1;
    this.#isUnanswered = false;
    this.#isAnswered = true;
  }

  /** Counts a stream, instead of the one that was counted before. @returns False at the limit. */
  takeStream(): boolean {
    this.releaseStream();
    this.#holdsStream = this.#target.hasRoomForStream();
    if (this.#holdsStream) this.#target.streams += 1;
    return this.#holdsStream;
  }

  releaseStream(): void {
    if (this.#holdsStream) this.#target.streams -= 1;
    this.#holdsStream = false;
  }

  /** Called once. */
  end(): void {
    this.#target.pending -= 1;
    this.#target.connections -= 1;
    this.releaseStream();
    this.answered();
  }
}
