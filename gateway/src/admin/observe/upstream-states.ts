import type { BreakerState } from '../../upstreams/pool/breaker.ts';
import type { OpenUpstream } from '../../upstreams/pool/open-upstream.ts';
import type { Failing, Target } from '../../upstreams/pool/target.ts';
import type { Observed } from './state-history.ts';

/** A state. `sinceMs` is set where it does not begin when it is first observed. */
export type State = Pick<Observed, 'state' | 'why' | 'sinceMs'>;

/** The state of a target, with what the state of its upstream depends on. */
export type TargetState = State & Readonly<{ failing: Failing | undefined; lastSuccessMs: number | undefined }>;

/** The states of an upstream and its parts now. The targets are in the order of the file. */
export type UpstreamStates = Readonly<{
  upstream: Observed;
  breaker: Observed | undefined;
  targets: readonly Observed[];
}>;

export function upstreamStates(opened: OpenUpstream): UpstreamStates {
  const { upstream, targets, breaker, nowMs } = opened;
  const { name } = upstream;
  const now = nowMs();
  const circuit = breaker?.state(now);
  const states = targets.map((target) => targetState(target, now));
  return {
    upstream: { kind: 'upstream', name, ...upstreamState(states, circuit) },
    breaker: circuit && { kind: 'breaker', name, state: circuit },
    targets: states.map(({ state, why, sinceMs }, at) => ({
      kind: 'target',
      name: `${name} ${targets[at]?.origin}`,
      state,
      why,
      sinceMs,
    })),
  };
}

/**
 * From its targets and its breaker. It is `failing` while the last request to each target failed, whatever its breaker
 * and its health checks say.
 */
export function upstreamState(targets: readonly TargetState[], circuit: BreakerState | undefined): State {
  const failing = targets.flatMap((target) => target.failing ?? []);
  if (failing.length === targets.length) {
    const [last] = failing.toSorted((a, b) => b.lastMs - a.lastMs);
    return failingState(
      {
        sinceMs: Math.max(...failing.map(({ sinceMs }) => sinceMs)),
        lastMs: last?.lastMs ?? 0,
        code: last?.code ?? '',
        count: failing.reduce((sum, { count }) => sum + count, 0),
      },
      targets.reduce<number | undefined>((latest, { lastSuccessMs }) => later(latest, lastSuccessMs), undefined),
    );
  }
  if (circuit === 'open') return { state: 'out', why: 'the circuit breaker is open' };
  const bad = targets.filter(({ state }) => state !== 'healthy' && state !== 'not checked');
  const why = bad[0]?.why;
  if (bad.length === targets.length) return { state: 'out', why };
  if (circuit === 'half-open') return { state: 'degraded', why: 'the circuit breaker is half open' };
  if (bad.length > 0) return { state: 'degraded', why };
  return { state: targets.some(({ state }) => state === 'healthy') ? 'up' : 'not checked' };
}

function targetState(target: Target, now: number): TargetState {
  const { health, failing, lastSuccessMs } = target;
  const why = target.lastError?.code;
  const stateNow = (): State => {
    if (failing !== undefined) return failingState(failing, lastSuccessMs);
    if (health.checks === 'failing') return { state: 'checks fail', why };
    if (health.ejectedForMs(now) > 0) return { state: 'ejected', why };
    if (!target.isAvailable(now)) return { state: 'full' };
    return { state: health.checks === 'passing' ? 'healthy' : 'not checked' };
  };
  return { ...stateNow(), failing, lastSuccessMs };
}

/** All requests of a failing target failed since then: one that succeeds ends the state. */
export function failingState({ sinceMs, code, count }: Failing, lastSuccessMs: number | undefined): State {
  const success = lastSuccessMs === undefined ? 'none has succeeded' : `last success ${timeOf(lastSuccessMs)}`;
  return { state: 'failing', sinceMs, why: `${code}; ${count} of ${count} failed; ${success}` };
}

const timeOf = (ms: number): string => new Date(ms).toISOString();

const later = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || (b !== undefined && b > a) ? b : a;
