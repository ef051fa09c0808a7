import { failingState, upstreamState } from '@countersign/console';
import type { ReloadState } from '../../reload/reload.ts';
import type { TrustedIssuer } from '../../tokens/verified-tokens.ts';
import type { OpenUpstream } from '../../upstreams/pool/open-upstream.ts';
import type { Target } from '../../upstreams/pool/target.ts';
import { describeOutcomes, timeOf } from '../describe.ts';
import type { ConsoleSources } from '../sources.ts';
import type { Observed } from './state-history.ts';

type StateSources = Pick<ConsoleSources, 'current' | 'health' | 'reloadState' | 'redisStatus'>;

export async function observeStates(sources: StateSources): Promise<readonly Observed[]> {
  const { current, health, reloadState, redisStatus } = sources;
  const { trust, upstreams } = current();
  const { ok, checks } = await health.ready();
  const failing = Object.entries(checks).filter(([, state]) => state !== 'ok');
  const redis = redisStatus();
  return [
    {
      kind: 'gateway',
      name: '',
      state: ok ? 'ready' : 'not ready',
      why: failing.map((check) => check.join(': ')).join('; '),
    },
    configurationState(reloadState()),
    ...(redis === undefined
      ? []
      : [{ kind: 'redis', name: '', state: redis === 'ready' ? 'connected' : 'not connected' }]),
    ...[...upstreams.all()].flatMap((opened) => {
      const { upstream, breaker, targets } = upstreamStates(opened);
      return [upstream, ...(breaker ? [breaker] : []), ...targets];
    }),
    ...[...trust.issuers.values()].flatMap(issuerStates),
  ];
}

const configurationState = ({ loadedAtMs, refused, refusedSinceMs }: ReloadState): Observed => ({
  kind: 'configuration',
  name: '',
  state: refused ? 'refused' : 'in force',
  since: timeOf(refused ? (refusedSinceMs ?? refused.atMs) : loadedAtMs),
  why: refused?.problems[0],
});

function issuerStates({ config, keys, revocations }: TrustedIssuer): Observed[] {
  const { issuer: name } = config;
  const { failure, held } = keys.stats;
  const states: Observed[] = [
    {
      kind: 'keys',
      name,
      state: !keys.ready ? 'none' : failure === undefined ? 'current' : 'cannot be refreshed',
      why: failure?.reason,
    },
    ...held.map(({ kid, alg }) => ({ kind: 'key', name: `${name} ${alg} ${kid}`, state: 'held' })),
  ];
  if (revocations === undefined) return states;
  const staleness = revocations.stalenessMs();
  const isStale = staleness !== undefined && staleness > ((config.revocations ?? config.events)?.maxStalenessMs ?? 0);
  const state = !revocations.ready ? 'not read' : isStale ? 'stale' : 'current';
  return [...states, { kind: 'revocations', name, state }];
}

/** The current states of an upstream and its parts. The targets are in file order. */
export function upstreamStates({ upstream: { name }, targets, breaker, nowMs }: OpenUpstream) {
  const now = nowMs();
  const circuit = breaker?.state(now);
  const states = targets.map((target) => ({ ...describeOutcomes(target), state: targetState(target, now) }));
  return {
    upstream: { kind: 'upstream', name, ...upstreamState(states, circuit) },
    breaker: circuit && { kind: 'breaker', name, state: circuit },
    targets: states.map(({ state }, at) => ({ kind: 'target', name: `${name} ${targets[at]?.origin}`, ...state })),
  } satisfies Record<string, Observed | readonly Observed[] | undefined>;
}

function targetState(target: Target, now: number) {
  const { health } = target;
  const { failing, last_success } = describeOutcomes(target);
  const why = target.lastError?.code ?? null;
  if (failing !== null) return failingState(failing, last_success);
  if (health.checks === 'failing') return { state: 'checks fail', why };
  if (health.ejectedForMs(now) > 0) return { state: 'ejected', why };
  if (!target.isAvailable(now)) return { state: 'full', why: null };
  if (health.hasFailedCheck()) return { state: 'check failed', why };
  return { state: health.checks === 'passing' ? 'healthy' : 'not checked', why: null };
}
