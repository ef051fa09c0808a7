import { type Answers, type Upstream, upstreamLatency } from '@countersign/admin-api';
import type { OpenUpstream } from '../../upstreams/pool/open-upstream.ts';
import { describeUpstream } from '../describe.ts';
import { upstreamStates } from '../observe/upstream-states.ts';
import type { ConsoleSources } from './sources.ts';

export function readUpstreams(sources: ConsoleSources): Answers['/api/upstreams'] {
  const { upstreams, gatewayKeys } = sources.current();
  const gatewayKid = gatewayKeys.agreementKey(Math.floor(sources.nowMs() / 1000))?.kid;
  return { upstreams: [...upstreams.all()].map((opened) => upstreamOf(opened, gatewayKid, sources)) };
}

function upstreamOf(
  opened: OpenUpstream,
  gatewayKid: string | undefined,
  { traffic, states, nowMs }: ConsoleSources,
): Upstream {
  const { tls, breaker, targets, ...shown } = describeUpstream(opened, gatewayKid);
  const { algorithm, uses, fallback = null } = shown.identity;
  const now = upstreamStates(opened);
  const durations = traffic.history.ofUpstream(shown.name, nowMs());
  return {
    ...shown,
    state: states.since(now.upstream, nowMs()),
    breaker: breaker && now.breaker ? { ...breaker, state: states.since(now.breaker, nowMs()) } : null,
    identity: { algorithm, uses, fallback },
    tls_trouble: tls?.trouble ?? null,
    latency_ms: upstreamLatency(durations),
    durations,
    targets: targets.map(({ healthy: _healthy, checks: _checks, ...target }, at) => ({
      ...target,
      state: states.since(now.targets[at] ?? now.upstream, nowMs()),
    })),
  };
}
