import type { BreakerState } from '../../upstreams/pool/breaker.ts';
import type { OpenUpstream } from '../../upstreams/pool/open-upstream.ts';
import type { Target } from '../../upstreams/pool/target.ts';
import { describeOutcomes } from '../describe.ts';
import type { Observed } from './state-history.ts';

/** A state. `sinceMs` is set where it does not begin when it is first observed. */
export type State = Pick<Observed, 'state' | 'why' | 'sinceMs'>;

/** The state of a target, with what the state of its upstream depends on. */
export type TargetState = State & Outcomes;
type Outcomes = ReturnType<typeof describeOutcomes>;
type Failing = NonNullable<Outcomes['failing']>;

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
    const [last] = failing.toSorted((a, b) => (a.last < b.last ? 1 : -1));
    const successes = targets.flatMap(({ last_success }) => last_success ?? []).sort();
    return failingState(
      {
        since:
          failing
            .map(({ since }) => since)
            .sort()
            .at(-1) ?? '',
        code: last?.code ?? '',
        requests: failing.reduce((sum, { requests }) => sum + requests, 0),
      },
      successes.at(-1) ?? null,
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
  const { health } = target;
  const outcomes = describeOutcomes(target);
  const { failing, last_success } = outcomes;
  const why = target.lastError?.code;
  const stateNow = (): State => {
    if (failing !== null) return failingState(failing, last_success);
    if (health.checks === 'failing') return { state: 'checks fail', why };
    if (health.ejectedForMs(now) > 0) return { state: 'ejected', why };
    if (!target.isAvailable(now)) return { state: 'full' };
    return { state: health.checks === 'passing' ? 'healthy' : 'not checked' };
  };
  return { ...stateNow(), ...outcomes };
}

/** All requests of a failing target failed since then: one that succeeds ends the state. */
export function failingState({ since, code, requests }: Omit<Failing, 'last'>, lastSuccess: string | null): State {
  const success = lastSuccess === null ? 'none has succeeded' : `last success ${lastSuccess}`;
  return {
    state: 'failing',
    sinceMs: Date.parse(since),
    why: `${code}; ${requests} of ${requests} failed; ${success}`,
  };
}
