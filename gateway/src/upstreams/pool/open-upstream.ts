import type { Logger } from '@countersign/process-kit';
import type { Upstream } from '../../config/config.ts';
import { AppError } from '../../errors.ts';
import { noSignatures } from '../../keys/signing-keys.ts';
import type { Outbound } from '../../pipeline/exchange.ts';
import { UpstreamAgreement } from '../agreement.ts';
import { Breaker, type Outcome } from './breaker.ts';
import { createChooser } from './choose-target.ts';
import { openTlsFiles, type TlsFiles } from './connect-pool.ts';
import { type FailedAttempt, mayRetry } from './retry.ts';
import { Target } from './target.ts';

const retriesPerRequest = 0.2;
/** How many retries are saved at first and at most. With little traffic, they cover the restart of one instance. */
export const maxSavedRetries = 10;

/** Limits an upstream's retries to a share of its requests, so that they never make an outage worse. */
export class RetryBudget {
  #saved = maxSavedRetries;

  deposit(): void {
    this.#saved = Math.min(maxSavedRetries, this.#saved + retriesPerRequest);
  }

  /** @returns Whether a retry is allowed. If so, it is deducted. */
  withdraw(): boolean {
    if (this.#saved < 1) return false;
    this.#saved -= 1;
    return true;
  }
}

export type UpstreamStats = { retries: number; retriesRefused: number; circuitRefusals: number };

export type UpstreamDeps = Readonly<{
  logger: Logger;
  /** Milliseconds on a monotonic clock. Default: `performance.now`. */
  monotonicMs?: () => number;
  /** From 0 to 1. Default: `Math.random`. */
  random?: () => number;
}>;

/** One admitted request. Only its first outcome counts. */
export type Permit = Readonly<{ settle(outcome: Outcome): void }>;

// Without a breaker, all requests are admitted.
const noPermit: Permit = { settle() {} };

export class OpenUpstream {
  readonly upstream: Upstream;
  readonly targets: readonly Target[];
  readonly breaker: Breaker | undefined;
  readonly budget = new RetryBudget();
  readonly tls: TlsFiles | undefined;
  readonly stats: UpstreamStats = { retries: 0, retriesRefused: 0, circuitRefusals: 0 };
  readonly signatures = noSignatures();
  /** Undefined unless the upstream's identity algorithm is `agreed`. */
  readonly agreement: UpstreamAgreement | undefined;
  /** The clock that all parts of the upstream use. */
  readonly nowMs: () => number;
  readonly #logger: Logger;
  readonly #choose: (nowMs: number, except?: Target) => Target;

  /** @throws StartupError if the TLS files are invalid. No check runs before `start`. */
  constructor(upstream: Upstream, deps: UpstreamDeps) {
    const { logger, monotonicMs = () => performance.now(), random = Math.random } = deps;
    const tls = upstream.tls && openTlsFiles(upstream.name, upstream.tls, logger);
    const breaker = upstream.breaker && new Breaker({ ...upstream.breaker, hasChecks: upstream.health !== undefined });
    const targets = upstream.targets.map(
      (origin) => new Target(origin, { upstream, tls, logger, monotonicMs, random, breaker }),
    );
    this.upstream = upstream;
    this.targets = targets;
    this.breaker = breaker;
    this.tls = tls;
    if (upstream.identity.algorithm === 'agreed') {
      this.agreement = new UpstreamAgreement({ upstream: upstream.name, targets, logger, monotonicMs, random });
    }
    this.nowMs = monotonicMs;
    this.#logger = logger;
    const [only] = targets;
    this.#choose = only && targets.length === 1 ? () => only : createChooser(targets, upstream.balance);
  }

  /** The caller must settle the permit. Throws `upstream_circuit_open` with `Retry-After`. */
  admit(): Permit {
    const { breaker } = this;
    if (breaker === undefined) return noPermit;
    const nowMs = this.nowMs();
    const permit = breaker.admit(nowMs);
    if (permit !== undefined) return this.#permitOf(breaker, permit);
    this.stats.circuitRefusals += 1;
    const retryAfterSec = Math.max(1, Math.ceil(breaker.retryAfterMs(nowMs) / 1000));
    throw new AppError('upstream_circuit_open', {
      headers: { 'retry-after': String(retryAfterSec) },
      detail: { upstream: this.upstream.name },
    });
  }

  /** @param except The target that just failed. Throws `upstream_overloaded`. */
  choose(except?: Target): Target {
    const target = this.#choose(this.nowMs(), except);
    if (!target.isFull()) return target;
    throw new AppError('upstream_overloaded', { detail: { upstream: this.upstream.name, target: target.origin } });
  }

  /** Says whether a failed attempt may be repeated. If so, takes one retry from the budget. */
  takeRetry(outbound: Pick<Outbound, 'method' | 'body'>, failed: FailedAttempt): boolean {
    if (!mayRetry(outbound, failed, this.targets.length > 1)) return false;
    const isGranted = this.budget.withdraw();
    this.stats[isGranted ? 'retries' : 'retriesRefused'] += 1;
    return isGranted;
  }

  /** Starts the health checks and the reloading of TLS files. Calling it again is harmless. */
  start(): void {
    this.tls?.start();
    for (const target of this.targets) target.start();
    this.agreement?.start();
  }

  /** Stops the checks. Closes idle connections immediately, and others after their responses. */
  async stop(): Promise<void> {
    this.tls?.stop();
    await this.agreement?.stop();
    await Promise.all(this.targets.map((target) => target.close()));
  }

  #permitOf(breaker: Breaker, permit: number): Permit {
    let isSettled = false;
    return {
      settle: (outcome) => {
        if (isSettled) return;
        isSettled = true;
        const before = breaker.opened;
        breaker.settle(permit, outcome, this.nowMs());
        if (breaker.opened === before) return;
        this.#logger.warn({ upstream: this.upstream.name }, 'the circuit breaker of an upstream opened');
        for (const target of this.targets) target.checkNow();
      },
    };
  }
}

export type OpenUpstreams = ReturnType<typeof upstreamsOf>;

export function upstreamsOf(opened: ReadonlyMap<string, OpenUpstream>) {
  return {
    all: () => opened.values(),
    of({ name }: Pick<Upstream, 'name'>): OpenUpstream {
      const upstream = opened.get(name);
      if (upstream === undefined) throw new Error(`upstream ${name} is not open`);
      return upstream;
    },
  };
}
