import type { Registry } from '@countersign/service-kit';
import { Counter, Gauge } from 'prom-client';
import type { OpenUpstream } from '../upstreams/pool/open-upstream.ts';
import type { Target } from '../upstreams/pool/target.ts';
import { isHealthy } from './describe.ts';

const breakerStates = ['closed', 'half-open', 'open'] as const;

/**
 * Registers metrics of the current upstreams. They read their value when metrics are scraped, so they cost requests nothing.
 * Counters start again when a reload changes an upstream's configuration.
 */
export function registerUpstreamMetrics(current: () => Iterable<OpenUpstream>, registry: Registry): void {
  const registers = [registry];
  const ofTargets = { labelNames: ['upstream', 'target'], registers } as const;
  const ofUpstreams = { labelNames: ['upstream'], registers } as const;

  function* eachTarget(): Generator<readonly [OpenUpstream, Target]> {
    for (const opened of current()) for (const target of opened.targets) yield [opened, target];
  }

  // `aggregator`: how several workers' values combine.
  const targetGauge = (
    name: string,
    aggregator: 'min' | 'max' | 'sum',
    help: string,
    read: (target: Target, nowMs: number) => number | undefined,
  ) =>
    new Gauge({
      name: `countersign_upstream_target_${name}`,
      help,
      aggregator,
      ...ofTargets,
      collect() {
        this.reset();
        for (const [{ upstream, nowMs }, target] of eachTarget()) {
          const value = read(target, nowMs());
          if (value !== undefined) this.set({ upstream: upstream.name, target: target.origin }, value);
        }
      },
    });
  const targetCounter = (name: string, help: string, read: (target: Target) => number) =>
    new Counter({
      name: `countersign_upstream_target_${name}_total`,
      help,
      ...ofTargets,
      collect() {
        this.reset();
        for (const [{ upstream }, target] of eachTarget()) {
          this.inc({ upstream: upstream.name, target: target.origin }, read(target));
        }
      },
    });
  const upstreamCounter = (name: string, help: string, read: (opened: OpenUpstream) => number | undefined) =>
    new Counter({
      name: `countersign_upstream_${name}_total`,
      help,
      ...ofUpstreams,
      collect() {
        this.reset();
        for (const opened of current()) {
          const value = read(opened);
          if (value !== undefined) this.inc({ upstream: opened.upstream.name }, value);
        }
      },
    });
  const upstreamGauge = (name: string, help: string, read: (opened: OpenUpstream) => number | undefined) =>
    new Gauge({
      name: `countersign_upstream_${name}`,
      help,
      aggregator: 'max',
      ...ofUpstreams,
      collect() {
        this.reset();
        for (const opened of current()) {
          const value = read(opened);
          if (value !== undefined) this.set({ upstream: opened.upstream.name }, value);
        }
      },
    });

  targetGauge(
    'healthy',
    'min',
    'Whether its last request succeeded, its checks do not fail, and it is neither full nor ejected. 1 before the first request.',
    (target, nowMs) => Number(isHealthy(target, nowMs)),
  );
  const inSeconds = (ms: number | undefined) => (ms === undefined ? undefined : ms / 1000);
  targetGauge(
    'last_success_timestamp_seconds',
    'max',
    'When the last request succeeded. Absent before.',
    ({ lastSuccessMs }) => inSeconds(lastSuccessMs),
  );
  targetGauge(
    'last_failure_timestamp_seconds',
    'max',
    'When the last request failed. Absent once a later one has succeeded.',
    ({ failing }) => inSeconds(failing?.lastMs),
  );
  targetGauge('pending', 'sum', 'Requests and WebSockets in progress.', ({ pending }) => pending);
  targetCounter('ejections', 'Times the target was ejected because consecutive requests failed.', ({ health }) =>
    Number(health.ejections),
  );
  targetCounter('failed_checks', 'Health checks that failed.', ({ failedChecks }) => failedChecks);
  upstreamGauge('breaker_state', 'Circuit breaker: 0 closed, 1 half open, 2 open.', ({ breaker, nowMs }) =>
    breaker === undefined ? undefined : breakerStates.indexOf(breaker.state(nowMs())),
  );
  upstreamCounter('breaker_opened', 'Times the circuit breaker opened.', ({ breaker }) => breaker?.opened);
  upstreamCounter('retries', 'Retried attempts.', ({ stats }) => stats.retries);
  upstreamCounter(
    'retries_over_budget',
    'Retries skipped because the retry budget was used up.',
    ({ stats }) => stats.retriesRefused,
  );
  upstreamGauge('tls_files_stale', 'Whether the TLS files cannot be read, so that older ones are in use.', ({ tls }) =>
    tls === undefined ? undefined : Number(tls.failure() !== undefined),
  );
}
