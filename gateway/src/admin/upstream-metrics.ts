import type { Registry } from '@countersign/service-kit';
import { Counter, Gauge } from 'prom-client';
import type { OpenUpstream } from '../upstreams/pool/open-upstream.ts';
import type { Target } from '../upstreams/pool/target.ts';

const breakerStates = ['closed', 'half-open', 'open'] as const;

/**
 * Metrics of the upstreams in force, read when somebody asks: requests cost nothing for them. What is counted begins anew with an
 * upstream whose configuration changed.
 */
export function watchUpstreams(inForce: () => Iterable<OpenUpstream>, registry: Registry): void {
  const registers = [registry];
  const ofTargets = { labelNames: ['upstream', 'target'], registers } as const;
  const ofUpstreams = { labelNames: ['upstream'], registers } as const;

  function* eachTarget(): Generator<readonly [OpenUpstream, Target]> {
    for (const opened of inForce()) for (const target of opened.targets) yield [opened, target];
  }

  // `aggregator`: what is told of several workers.
  const targetGauge = (
    name: string,
    aggregator: 'min' | 'sum',
    help: string,
    read: (target: Target, nowMs: number) => number,
  ) =>
    new Gauge({
      name: `countersign_upstream_target_${name}`,
      help,
      aggregator,
      ...ofTargets,
      collect() {
        this.reset();
        for (const [{ upstream, nowMs }, target] of eachTarget()) {
          this.set({ upstream: upstream.name, target: target.origin }, read(target, nowMs()));
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
        for (const opened of inForce()) {
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
        for (const opened of inForce()) {
          const value = read(opened);
          if (value !== undefined) this.set({ upstream: opened.upstream.name }, value);
        }
      },
    });

  targetGauge(
    'healthy',
    'min',
    'Whether it is given requests: its checks pass and it is not ejected.',
    (target, nowMs) => Number(target.isAvailable(nowMs)),
  );
  targetGauge('pending', 'sum', 'Requests and WebSockets that are not over.', ({ pending }) => pending);
  targetCounter('ejections', 'Times it was left out because requests failed one after the other.', ({ health }) =>
    Number(health.ejections),
  );
  targetCounter('failed_checks', 'Health checks that failed.', ({ failedChecks }) => failedChecks);
  upstreamGauge('breaker_state', 'Circuit breaker: 0 closed, 1 half open, 2 open.', ({ breaker, nowMs }) =>
    breaker === undefined ? undefined : breakerStates.indexOf(breaker.state(nowMs())),
  );
  upstreamCounter('breaker_opened', 'Times the circuit breaker opened.', ({ breaker }) => breaker?.opened);
  upstreamCounter('retries', 'Attempts beyond the first.', ({ stats }) => stats.retries);
  upstreamCounter(
    'retries_over_budget',
    'Retries that were not made, to spare the upstream.',
    ({ stats }) => stats.retriesRefused,
  );
  upstreamGauge('tls_files_stale', 'Whether its TLS files cannot be read now, and older ones are in use.', ({ tls }) =>
    tls === undefined ? undefined : Number(tls.trouble() !== undefined),
  );
}
