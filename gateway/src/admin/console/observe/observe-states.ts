import type { Health } from '@countersign/service-kit';
import type { ReloadState } from '../../../snapshot/reload.ts';
import type { Snapshot } from '../../../snapshot/snapshot.ts';
import type { TrustedIssuer } from '../../../tokens/verified-tokens.ts';
import type { OpenUpstream } from '../../../upstreams/pool/open-upstream.ts';
import type { Target } from '../../../upstreams/pool/target.ts';
import type { Observed } from './state-history.ts';

export type StateSources = Readonly<{
  current(): Pick<Snapshot, 'config' | 'trust' | 'upstreams'>;
  health: Pick<Health, 'ready'>;
  reloadState(): ReloadState;
  /** Undefined without Redis. */
  redisStatus(): string | undefined;
}>;

/** The states of all parts now. */
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
    ...[...upstreams.all()].flatMap(upstreamStates),
    ...[...trust.issuers.values()].flatMap(issuerStates),
  ];
}

function configurationState({ loadedAtMs, refused, refusedSinceMs }: ReloadState): Observed {
  return refused === undefined
    ? { kind: 'configuration', name: '', state: 'in force', sinceMs: loadedAtMs }
    : { kind: 'configuration', name: '', state: 'refused', sinceMs: refusedSinceMs, why: refused.problems[0] };
}

/** Whether an upstream is out now: its breaker is open, or none of its targets is available. */
export function upstreamState({ upstream, targets, breaker, nowMs }: OpenUpstream): Observed {
  const { name } = upstream;
  const now = nowMs();
  const available = targets.filter((target) => target.isAvailable(now)).length;
  const circuit = breaker?.state(now);
  const why = targets.find((target) => !target.isAvailable(now))?.lastError?.code;
  const kind = 'upstream';
  if (circuit === 'open') return { kind, name, state: 'out', why: 'the circuit breaker is open' };
  if (available === 0) return { kind, name, state: 'out', why };
  if (circuit === 'half-open') return { kind, name, state: 'degraded', why: 'the circuit breaker is half open' };
  if (available < targets.length) return { kind, name, state: 'degraded', why };
  return { kind, name, state: targets.some(({ health }) => health.checks !== 'none') ? 'up' : 'not checked' };
}

function upstreamStates(opened: OpenUpstream): Observed[] {
  const { upstream, targets, breaker, nowMs } = opened;
  const { name } = upstream;
  const now = nowMs();
  const circuit = breaker?.state(now);
  return [
    upstreamState(opened),
    ...(circuit === undefined ? [] : [{ kind: 'breaker', name, state: circuit }]),
    ...targets.map((target) => ({ kind: 'target', name: `${name} ${target.origin}`, ...targetState(target, now) })),
  ];
}

function targetState(target: Target, now: number): Pick<Observed, 'state' | 'why'> {
  const { checks, ejectedForMs } = target.health;
  const why = target.lastError?.code;
  if (checks === 'failing') return { state: 'checks fail', why };
  if (ejectedForMs > 0) return { state: 'ejected', why };
  if (!target.isAvailable(now)) return { state: 'full' };
  return { state: checks === 'passing' ? 'healthy' : 'not checked' };
}

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
  const isStale = staleness !== undefined && staleness > (config.revocations?.maxStalenessMs ?? 0);
  const state = !revocations.ready ? 'not read' : isStale ? 'stale' : 'current';
  return [...states, { kind: 'revocations', name, state }];
}
