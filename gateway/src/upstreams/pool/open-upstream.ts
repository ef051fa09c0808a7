import type { Logger } from '@countersign/service-kit';
import type { Upstream } from '../../config/config.ts';
import { AppError } from '../../errors.ts';
import { noSignatures, type SignatureCounts } from '../../keys/signing-keys.ts';
import type { Outbound } from '../../pipeline/exchange.ts';
import { createUpstreamAgreement, type UpstreamAgreement } from '../agreement/choose-service-key.ts';
import { type Breaker, createBreaker, type Outcome } from './breaker.ts';
import { createChooser } from './choose-target.ts';
import { createRetryBudget, type FailedAttempt, mayRetry, type RetryBudget } from './retry.ts';
import { openTarget, type Target } from './target.ts';
import { openTlsFiles, type TlsFiles } from './upstream-tls-files.ts';

/** An upstream at run time: its targets, their connections and its statistics. */
export type OpenUpstream = Readonly<{
  upstream: Upstream;
  targets: readonly Target[];
  breaker: Breaker | undefined;
  budget: RetryBudget;
  tls: TlsFiles | undefined;
  stats: UpstreamStats;
  signatures: SignatureCounts;
  /** Undefined unless its identity is `agreed`. */
  agreement: UpstreamAgreement | undefined;
  /** The clock of all its parts. */
  nowMs(): number;
  /**
   * Admits one request, whose permit must be settled.
   *
   * @throws AppError `upstream_circuit_open` with `Retry-After`.
   */
  admit(): Permit;
  /** @param except The target that just failed. @throws AppError `upstream_overloaded`. */
  choose(except?: Target): Target;
  /** Whether a failed attempt may be repeated, and the budget has a retry left for it. Then it is taken. */
  takeRetry(outbound: Pick<Outbound, 'method' | 'body'>, failed: FailedAttempt): boolean;
  /** Starts the health checks and the watch of the TLS files. Calling it again is harmless. */
  start(): void;
  /** Stops the checks and closes idle connections at once, other connections after their responses. */
  close(): Promise<void>;
}>;

/** Counted since the upstream was opened. */
export type UpstreamStats = { retries: number; retriesRefused: number; circuitRefusals: number };

export type UpstreamDeps = Readonly<{
  logger: Logger;
  /** Milliseconds of a monotonic clock. Default: `performance.now`. */
  monotonicMs?: () => number;
  /** From 0 to 1. Default: `Math.random`. */
  random?: () => number;
}>;

/** One admitted request. Its first outcome counts, further ones do not. */
export type Permit = Readonly<{ settle(outcome: Outcome): void }>;

// Without a breaker all requests are admitted.
const noPermit: Permit = { settle() {} };

/**
 * Opens an upstream. Connections open when they are first needed, and no check runs before `start`.
 *
 * @throws StartupError if its TLS files are bad.
 */
export function openUpstream(upstream: Upstream, deps: UpstreamDeps): OpenUpstream {
  const { logger, monotonicMs = () => performance.now(), random = Math.random } = deps;
  const tls = upstream.tls && openTlsFiles(upstream.name, upstream.tls, logger);
  const breaker = upstream.breaker && createBreaker({ ...upstream.breaker, hasChecks: upstream.health !== undefined });
  const onChecked = (isGood: boolean) => breaker?.checked(isGood);
  const isUrgent = () => breaker !== undefined && breaker.state(monotonicMs()) !== 'closed';
  const targets = upstream.targets.map((origin) =>
    openTarget(origin, { upstream, tls, logger, monotonicMs, random, onChecked, isUrgent }),
  );
  const agreement =
    upstream.identity.algorithm === 'agreed'
      ? createUpstreamAgreement({ upstream: upstream.name, targets, logger, monotonicMs, random })
      : undefined;
  const choose = createChooser(targets, upstream.balance);
  const only = targets.length === 1 ? targets[0] : undefined;
  const stats: UpstreamStats = { retries: 0, retriesRefused: 0, circuitRefusals: 0 };

  const budget = createRetryBudget();

  function permitOf(admitting: Breaker, permit: number): Permit {
    let isSettled = false;
    return {
      settle(outcome) {
        if (isSettled) return;
        isSettled = true;
        const before = admitting.opened;
        admitting.settle(permit, outcome, monotonicMs());
        if (admitting.opened === before) return;
        logger.warn({ upstream: upstream.name }, 'the circuit breaker of an upstream opened');
        for (const target of targets) target.checkNow();
      },
    };
  }

  return {
    upstream,
    targets,
    breaker,
    budget,
    tls,
    stats,
    signatures: noSignatures(),
    agreement,
    nowMs: monotonicMs,
    admit() {
      if (breaker === undefined) return noPermit;
      const nowMs = monotonicMs();
      const permit = breaker.admit(nowMs);
      if (permit !== undefined) return permitOf(breaker, permit);
      stats.circuitRefusals += 1;
      const retryAfterSec = Math.max(1, Math.ceil(breaker.retryAfterMs(nowMs) / 1000));
      throw new AppError('upstream_circuit_open', {
        headers: { 'retry-after': String(retryAfterSec) },
        detail: { upstream: upstream.name },
      });
    },
    takeRetry(outbound, failed) {
      if (!mayRetry(outbound, failed, targets.length > 1)) return false;
      const isGranted = budget.withdraw();
      stats[isGranted ? 'retries' : 'retriesRefused'] += 1;
      return isGranted;
    },
    choose(except) {
      const target = only ?? choose(monotonicMs(), except);
      if (!target.isFull()) return target;
      throw new AppError('upstream_overloaded', { detail: { upstream: upstream.name, target: target.origin } });
    },
    start() {
      tls?.start();
      for (const target of targets) target.start();
      agreement?.start();
    },
    async close() {
      tls?.stop();
      await agreement?.stop();
      await Promise.all(targets.map((target) => target.close()));
    },
  };
}

/** The upstreams of one configuration. */
export type OpenUpstreams = Readonly<{ of(upstream: Upstream): OpenUpstream; all(): Iterable<OpenUpstream> }>;

/** @param opened By name. */
export function upstreamsOf(opened: ReadonlyMap<string, OpenUpstream>): OpenUpstreams {
  return {
    all: () => opened.values(),
    of({ name }) {
      const upstream = opened.get(name);
      if (upstream === undefined) throw new Error(`upstream ${name} is not open`);
      return upstream;
    },
  };
}
