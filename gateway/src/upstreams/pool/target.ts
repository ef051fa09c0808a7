import { createSocketOpener, type Dispatcher, type SocketOpener, singleUse } from '@countersign/http1-client';
import type { Logger } from '@countersign/process-kit';
import type { Upstream } from '../../config/config.ts';
import type { AppError, Code } from '../../errors.ts';
import type { Breaker } from './breaker.ts';
import { connectPool, type TlsFiles } from './connect-pool.ts';
import { type ResponseLifetime, StalledResponses } from './long-lived-connections.ts';
import { Poll, type PollAnswer } from './poll.ts';
import type { AttemptProgress } from './retry.ts';
import { TargetHealth } from './target-health.ts';
import { blamesUpstream, isOutage } from './upstream-error.ts';

type Failure = Pick<AppError, 'code'> & Readonly<{ detail?: AppError['detail'] }>;
type HealthRules = NonNullable<Upstream['health']>;

/** Most connections carry streams and slow clients. These cost memory, but the service does no work for them. */
export const maxConnectionsPerTarget = 2_048;
/** Requests that the service has queued or is processing: sent completely, and without a response yet. */
export const maxUnansweredPerTarget = 1_024;
/** Half of the connections, so that streams always leave one for each request that is being processed. */
export const maxStreamsPerTarget = maxConnectionsPerTarget / 2;
// Shorter than the 5 s after which a Node service closes an idle connection, so that no request is sent on a closing
// connection.
const idleConnectionMs = 4_000;
const evictEveryMs = 250;
/** Interval of health checks while the breaker is open, or the configured interval if that is shorter. */
const urgentIntervalMs = 100;

type TargetDeps = Readonly<{
  upstream: Upstream;
  tls: TlsFiles | undefined;
  logger: Logger;
  monotonicMs(): number;
  random(): number;
  /** The upstream's breaker. It receives the results of the health checks. */
  breaker: Breaker | undefined;
}>;

/** One address of a service, with its connections and its health. Connections open when they are first needed. */
export class Target {
  readonly origin: string;
  readonly host: string;
  readonly pool: Dispatcher;
  readonly opener: SocketOpener;
  readonly health: TargetHealth;
  readonly stalled: StalledResponses;

  // Attempts update these through TargetCounts.
  /** Requests that hold a pool connection or wait for one. */
  requests = 0;
  /** Unfinished upgrades and upgraded connections. */
  upgrades = 0;
  /** Requests and upgrades that have been sent completely and have no response yet. */
  unanswered = 0;
  /** Streams, which may last as long as their clients want. */
  streams = 0;

  lastError: Readonly<{ code: string; atMs: number }> | undefined;
  /** Requests that failed since the last success, in Unix milliseconds. Only a successful request resets it. */
  failing: Readonly<{ sinceMs: number; lastMs: number; code: string; count: number }> | undefined;
  lastSuccessMs: number | undefined;
  failedChecks = 0;
  readonly #deps: TargetDeps;
  readonly #checks: Poll | undefined;

  constructor(origin: string, deps: TargetDeps) {
    const { upstream, tls } = deps;
    const { timeouts, health: rules } = upstream;
    this.origin = origin;
    this.host = new URL(origin).host;
    this.#deps = deps;
    this.opener = createSocketOpener({
      origin,
      connectTimeoutMs: timeouts.connectMs,
      tls: tls && (() => tls.current()),
    });
    this.pool = connectPool(upstream.httpClient, origin, {
      opener: this.opener,
      connections: maxConnectionsPerTarget,
      headersTimeout: timeouts.responseMs,
      bodyTimeout: timeouts.idleMs,
      keepAliveTimeout: idleConnectionMs,
    });
    this.health = new TargetHealth(rules ?? { unhealthyAfter: 1, healthyAfter: 1 });
    this.stalled = new StalledResponses(deps.monotonicMs);
    this.#checks = rules && this.#healthChecks(rules);
  }

  readonly openSingleUse = (timeoutMs: number): Dispatcher =>
    connectPool(this.#deps.upstream.httpClient, this.origin, singleUse(this.opener, timeoutMs));

  /** The number of unfinished requests and upgraded connections. */
  get pending(): number {
    return this.requests + this.upgrades;
  }

  isAvailable(nowMs: number): boolean {
    return this.health.isAvailable(nowMs) && !this.isFull();
  }

  passesChecks(): boolean {
    return this.health.passesChecks() && !this.isFull();
  }

  isFull(): boolean {
    return this.unanswered >= maxUnansweredPerTarget;
  }

  /** Whether a new request must wait for a connection. */
  isBusy(): boolean {
    return this.requests > maxConnectionsPerTarget;
  }

  /** Ends responses whose clients do not read, while a request waits. `giveUp` runs after the connect timeout. */
  freeConnections(giveUp: () => void): () => void {
    this.stalled.endOldest();
    // Counts turns of the event loop, so that a blocked loop does not use up the time.
    let turnsLeft = Math.ceil(this.#deps.upstream.timeouts.connectMs / evictEveryMs);
    // Repeated, because another queued request may get the freed connection.
    const eviction = setInterval(() => {
      turnsLeft -= 1;
      if (turnsLeft > 0) this.stalled.endOldest();
      else giveUp();
    }, evictEveryMs);
    return () => clearInterval(eviction);
  }

  /** Call it when a complete response with any status arrived, or an endless one began. */
  succeeded(): void {
    this.lastSuccessMs = Date.now();
    this.failing = undefined;
  }

  /**
   * Call it when an attempt failed. Only the service's faults count, and only outages without a response count towards
   * an ejection. A service whose own store is down, such as its Redis, responds, so it is as healthy as with any 503.
   */
  failed({ code, detail }: Failure, progress: AttemptProgress): void {
    if (code === 'identity_unavailable' && detail?.reason !== 'keys_unavailable') this.succeeded();
    else if (blamesUpstream(code)) this.#blame(code, progress);
  }

  #blame(code: Code, progress: AttemptProgress): void {
    const atMs = Date.now();
    const { sinceMs, count } = this.failing ?? { sinceMs: atMs, count: 0 };
    this.failing = { sinceMs, lastMs: atMs, code, count: count + 1 };
    this.lastError = { code, atMs };
    const { logger, monotonicMs } = this.#deps;
    const nowMs = monotonicMs();
    if (progress === 'responded' || !isOutage(code) || !this.health.failed(nowMs)) return;
    const forMs = this.health.ejectedForMs(nowMs);
    logger.warn({ ...this.#logFields(), code, for_ms: forMs }, 'ejecting a target because its requests fail');
  }

  checkNow(): void {
    this.#checks?.hurry(0);
  }

  /** Starts the health checks. Calling it again is harmless. */
  start(): void {
    const { upstream, random } = this.#deps;
    // Starts soon, at a random moment.
    this.#checks?.start(Math.min(upstream.health?.intervalMs ?? 0, 1_000) * random());
  }

  async close(): Promise<void> {
    await this.#checks?.stop();
    await this.pool.close();
  }

  /** Checks are not signed, because services serve their health path without an identity. */
  #healthChecks({ path, timeoutMs, intervalMs }: HealthRules): Poll {
    const { random, breaker, monotonicMs } = this.#deps;
    return new Poll({
      pool: this.openSingleUse(timeoutMs),
      path,
      // The body does not matter. It is read only so that the connection can close normally.
      request: { headers: ['user-agent', 'countersign-health'], maxBodyBytes: 16 * 1024, largerBody: 'cut', timeoutMs },
      onAnswer: (answer) => {
        this.#onChecked(problemOf(answer));
        // The breaker refuses requests until a check passes.
        const isUrgent = breaker !== undefined && breaker.state(monotonicMs()) !== 'closed';
        return isUrgent ? Math.min(intervalMs, urgentIntervalMs) : intervalMs;
      },
      monotonicMs,
      random,
    });
  }

  #onChecked(reason: string | undefined): void {
    const { logger, breaker } = this.#deps;
    const { checks: before } = this.health;
    this.health.checked(reason === undefined);
    breaker?.checked(reason === undefined);
    const { checks: after } = this.health;
    if (reason !== undefined) {
      this.failedChecks += 1;
      this.lastError = { code: `health check: ${reason}`, atMs: Date.now() };
    }
    if (after === before) return;
    const fields = this.#logFields();
    if (after === 'failing') logger.warn({ ...fields, reason }, 'a target is unhealthy because its health checks fail');
    else if (before === 'failing') logger.info(fields, 'a target is healthy again because its health checks pass');
  }

  #logFields() {
    return { upstream: this.#deps.upstream.name, target: this.origin };
  }
}

/** Says why a target is not healthy: a status or an error code. Undefined if it is healthy. */
function problemOf(answer: PollAnswer): string | undefined {
  if (typeof answer === 'string') return answer;
  return answer.status >= 200 && answer.status < 300 ? undefined : `status ${answer.status}`;
}

/** Adds one attempt to its target's counts until the attempt ends. */
export class TargetCounts {
  readonly #target: Target;
  readonly #kind: 'requests' | 'upgrades';
  #countedAs: 'unanswered' | 'streams' | undefined;
  #response: ResponseLifetime | undefined;

  constructor(target: Target, kind: 'requests' | 'upgrades') {
    this.#target = target;
    this.#kind = kind;
    target[kind] += 1;
  }

  /** Records that the client's body begins to arrive. @returns False if the limit on streams is reached. */
  uploadBegan(): boolean {
    return this.#countAs('streams');
  }

  /** Records that the request has been sent completely. It now waits for a response, unless the response has begun. */
  requestComplete(): void {
    if (this.#response === undefined) this.#countAs('unanswered');
    else if (this.#response !== 'endless') this.#countAs(undefined);
  }

  /** @returns False if the response is endless and the limit on streams is reached. */
  responseBegan(lifetime: ResponseLifetime): boolean {
    this.#response = lifetime;
    if (lifetime === 'endless') return this.#countAs('streams');
    return this.#countedAs === 'streams' || this.#countAs(undefined);
  }

  /** Removes the attempt from the counts. Call it once. */
  end(): void {
    this.#target[this.#kind] -= 1;
    this.#countAs(undefined);
  }

  #countAs(next: 'unanswered' | 'streams' | undefined): boolean {
    const target = this.#target;
    if (this.#countedAs !== undefined) target[this.#countedAs] -= 1;
    this.#countedAs = next === 'streams' && target.streams >= maxStreamsPerTarget ? undefined : next;
    if (this.#countedAs !== undefined) target[this.#countedAs] += 1;
    return this.#countedAs === next;
  }
}
