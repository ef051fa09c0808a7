import type { OpenUpstream } from '../upstreams/pool/open-upstream.ts';
import type { LastError, Target } from '../upstreams/pool/target.ts';

/** What an operator wants to know of an upstream, for `GET /upstreams`. Addresses are in it, secrets are not. */
export function describeUpstream({ upstream, targets, breaker, tls, stats, nowMs }: OpenUpstream) {
  const now = nowMs();
  return {
    name: upstream.name,
    balance: upstream.balance,
    pending: targets.reduce((sum, { pending }) => sum + pending, 0),
    breaker:
      breaker === undefined
        ? null
        : {
            state: breaker.state(now),
            ...breaker.counts(now),
            retry_after_ms: Math.round(breaker.retryAfterMs(now)),
            opened: breaker.opened,
            refused: stats.circuitRefusals,
          },
    retries: { made: stats.retries, over_budget: stats.retriesRefused },
    tls: tls === undefined ? null : { trouble: tls.trouble() ?? null },
    targets: targets.map((target) => describeTarget(target, now)),
  };
}

function describeTarget(target: Target, nowMs: number) {
  const { checks, ejectedForMs, ejections } = target.health;
  return {
    origin: target.origin,
    /** Whether it is given requests while others are too. */
    healthy: target.isAvailable(nowMs),
    checks,
    ejected_for_ms: Math.round(ejectedForMs),
    ejections,
    pending: target.pending,
    last_error: describeError(target.lastError),
  };
}

const describeError = (error: LastError | undefined) =>
  error === undefined ? null : { code: error.code, at: new Date(error.atMs).toISOString() };
