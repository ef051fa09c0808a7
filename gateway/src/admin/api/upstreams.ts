import { z } from 'zod';
import type { BreakerState } from '../../upstreams/pool/breaker.ts';
import type { OpenUpstream } from '../../upstreams/pool/open-upstream.ts';
import { describeUpstream } from '../describe.ts';
import { failingState, type State, upstreamState, upstreamStates } from '../observe/upstream-states.ts';
import {
  byName,
  combine,
  combineFromWorst,
  eachMember,
  earliest,
  first,
  highest,
  known,
  latest,
  newestFirst,
  sum,
  worst,
} from './merge.ts';
import { durations, latencyOf, mergeDurations } from './traffic.ts';
import { count, type SinceView, since, sinceNow, time, timeOf } from './values.ts';
import { type ConsoleSources, defineView } from './view.ts';

const lastError = z.object({ code: z.string(), at: time }).nullable();

const failing = z.object({ since: time, last: time, code: z.string(), requests: count });
type FailingView = z.output<typeof failing>;

const target = z.object({
  origin: z.string(),
  state: since,
  pending: count,
  ejections: count,
  ejected_for_ms: z.number(),
  failing: failing
    .nullable()
    .describe('Requests since the last one that succeeded. Null: the last one succeeded, or there was none.'),
  last_success: time.nullable().describe('When a request last got a whole response, of any status.'),
  last_error: lastError,
});
type TargetView = z.output<typeof target>;

const upstream = z
  .object({
    name: z.string(),
    state: since,
    balance: z.string(),
    pending: count,
    breaker: z
      .object({
        state: since,
        successes: count,
        failures: count,
        opened: count,
        refused: count,
        retry_after_ms: z.number(),
      })
      .nullable(),
    retries: z.object({ made: count, over_budget: count }),
    identity: z.object({ algorithm: z.string(), uses: z.string(), fallback: z.string().nullable() }),
    tls_trouble: z.string().nullable(),
    latency_ms: z
      .object({ p50: z.number().nullable(), p95: z.number().nullable(), p99: z.number().nullable() })
      .describe('Over the last ten minutes.'),
    durations: durations.describe(
      'Per minute of the last hour: from the signed request sent to the start of the response.',
    ),
    targets: z.array(target),
  })
  .meta({ id: 'Upstream' });
type UpstreamView = z.output<typeof upstream>;

const upstreamList = z.object({ upstreams: z.array(upstream) });
export type UpstreamList = z.output<typeof upstreamList>;

/** From good to bad. */
const breakerStates = ['closed', 'half-open', 'open'];
const targetStates = ['healthy', 'not checked', 'full', 'ejected', 'checks fail'];
const latencySlices = 10;

export const upstreamsView = defineView({
  path: '/upstreams',
  operationId: 'listUpstreams',
  tag: 'State',
  summary: 'Upstreams and their targets: health, circuit breaker, latency, last error',
  response: upstreamList,
  read(sources) {
    const { upstreams, gatewayKeys } = sources.current();
    const gatewayKid = gatewayKeys.agreementKey(Math.floor(sources.nowMs() / 1000))?.kid;
    return { upstreams: [...upstreams.all()].map((opened) => upstreamOf(opened, gatewayKid, sources)) };
  },
  merge: combine({ upstreams: byName(({ name }) => name, mergeUpstream) }),
});

const latency = (all: z.output<typeof durations>) => latencyOf(all, (list) => sum(list.slice(-latencySlices)));

function upstreamOf(opened: OpenUpstream, gatewayKid: string | undefined, sources: ConsoleSources): UpstreamView {
  const { name, balance, pending, breaker, retries, identity, tls, targets } = describeUpstream(opened, gatewayKid);
  const { traffic, nowMs } = sources;
  const states = upstreamStates(opened);
  const { durations: counts, boundsMs } = traffic.history.ofUpstream(name, nowMs());
  const all = { bounds_ms: [...boundsMs], counts: counts.map((list) => [...list]) };
  return {
    name,
    state: sinceNow(states.upstream, sources),
    balance,
    pending,
    breaker: breaker && states.breaker ? { ...breaker, state: sinceNow(states.breaker, sources) } : null,
    retries,
    identity: {
      algorithm: identity.algorithm,
      uses: identity.uses,
      fallback: 'fallback' in identity ? identity.fallback : null,
    },
    tls_trouble: tls?.trouble ?? null,
    latency_ms: latency(all),
    durations: all,
    targets: targets.map(({ healthy: _healthy, checks: _checks, ...target }, at) => ({
      ...target,
      state: sinceNow(states.targets[at] ?? states.upstream, sources),
    })),
  };
}

type Breaker = NonNullable<UpstreamView['breaker']>;

const mergeParts = combine<UpstreamView>({
  pending: sum,
  breaker: known(
    combineFromWorst<Breaker>(breakerStates, {
      successes: sum,
      failures: sum,
      opened: sum,
      refused: sum,
      retry_after_ms: highest,
    }),
  ),
  retries: eachMember(sum),
  identity: (all) => all.find(({ fallback }) => fallback !== null) ?? first(all),
  tls_trouble: known(first),
  durations: mergeDurations,
  targets: byName(({ origin }) => origin, mergeTarget),
});

function mergeUpstream(parts: readonly UpstreamView[]): UpstreamView {
  const merged = mergeParts(parts);
  return { ...merged, state: mergedState(parts, merged), latency_ms: latency(merged.durations) };
}

/** From the merged parts, since the first worker had that state. */
function mergedState(parts: readonly UpstreamView[], { targets, breaker }: UpstreamView): SinceView {
  const merged = upstreamState(targets.map(stateOf), breaker?.state.state as BreakerState | undefined);
  const same = parts.filter(({ state }) => state.state === merged.state);
  return viewOf(merged, earliest((same.length > 0 ? same : parts).map(({ state }) => state.since)));
}

const viewOf = ({ state, why, sinceMs }: State, from: string): SinceView => ({
  state,
  since: sinceMs === undefined ? from : timeOf(sinceMs),
  why: why ?? null,
});

const stateOf = ({ state: { state, why }, failing: requests, last_success }: TargetView) => ({
  state,
  why: why ?? undefined,
  failing: requests,
  last_success,
});

/** What a worker says of failed requests is outdated once a request of another worker has succeeded. */
function mergeTarget(parts: readonly TargetView[]): TargetView {
  const success = known<string>(latest)(parts.map(({ last_success }) => last_success)) ?? '';
  const current = parts.filter((part) => part.failing === null || part.failing.last >= success);
  const requests = mergeFailing(
    current.flatMap((part) => part.failing ?? []),
    success,
  );
  const state =
    requests === null
      ? worst(targetStates)(current.map((part) => part.state))
      : viewOf(failingState(requests, success === '' ? null : success), requests.since);
  const errors = known<NonNullable<TargetView['last_error']>>((all) => first(all.toSorted(newestFirst('at'))));
  const merge = combine<TargetView>({ pending: sum, ejections: sum, ejected_for_ms: highest, last_error: errors });
  return { ...merge(parts), state, failing: requests, last_success: success === '' ? null : success };
}

/** @param success The last one. Of requests that failed before it, only their end is known: at least one failed since. */
function mergeFailing(parts: readonly FailingView[], success: string): FailingView | null {
  const [last] = parts.toSorted(newestFirst('last'));
  if (last === undefined) return null;
  return {
    since: earliest(parts.map((part) => (part.since > success ? part.since : part.last))),
    last: last.last,
    code: last.code,
    requests: sum(parts.map((part) => (part.since > success ? part.requests : 1))),
  };
}
