import { failingState, upstreamState } from '@countersign/admin-api';
import type { OpenUpstream } from '../../upstreams/pool/open-upstream.ts';
import type { Target } from '../../upstreams/pool/target.ts';
import { describeOutcomes } from '../describe.ts';
import type { Observed } from './state-history.ts';

/** The current states of an upstream and its parts. The targets are in file order. */
export type UpstreamStates = Readonly<{
  upstream: Observed;
  breaker: Observed | undefined;
  targets: readonly Observed[];
}>;

export function upstreamStates({ upstream: { name }, targets, breaker, nowMs }: OpenUpstream): UpstreamStates {
  const now = nowMs();
  const circuit = breaker?.state(now);
  const states = targets.map((target) => ({ ...describeOutcomes(target), state: targetState(target, now) }));
  return {
    upstream: { kind: 'upstream', name, ...upstreamState(states, circuit) },
    breaker: circuit && { kind: 'breaker', name, state: circuit },
    targets: states.map(({ state }, at) => ({ kind: 'target', name: `${name} ${targets[at]?.origin}`, ...state })),
  };
}

function targetState(target: Target, now: number) {
  const { health } = target;
  const { failing, last_success } = describeOutcomes(target);
  const why = target.lastError?.code ?? null;
  if (failing !== null) return failingState(failing, last_success);
  if (health.checks === 'failing') return { state: 'checks fail', why };
  if (health.ejectedForMs(now) > 0) return { state: 'ejected', why };
  if (!target.isAvailable(now)) return { state: 'full', why: null };
  return { state: health.checks === 'passing' ? 'healthy' : 'not checked', why: null };
}
