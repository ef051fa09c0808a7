import type { Health } from '@countersign/service-kit';
import type { ReloadState } from '../../reload/reload.ts';
import type { Snapshot } from '../../reload/snapshot.ts';
import type { TrustedIssuer } from '../../tokens/verified-tokens.ts';
import { timeOf } from '../describe.ts';
import type { Observed } from './state-history.ts';
import { upstreamStates } from './upstream-states.ts';

export type StateSources = Readonly<{
  current(): Pick<Snapshot, 'config' | 'trust' | 'upstreams'>;
  health: Pick<Health, 'ready'>;
  reloadState(): ReloadState;
  /** Undefined if Redis is not configured. */
  redisStatus(): string | undefined;
}>;

/** Reads the current state of every part. */
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
