import { z } from 'zod';
import type { BreakerState } from '../../upstreams/pool/breaker.ts';
import type { OpenUpstream } from '../../upstreams/pool/open-upstream.ts';
import { describeUpstream } from '../describe.ts';
import {
  failingState,
  type State,
  type TargetState,
  upstreamState,
  upstreamStates,
} from '../observe/upstream-states.ts';
import { durations, latencyOf, mergeDurations } from './traffic.ts';
import { count, earliest, latest, type SinceView, since, sinceNow, sum, time, timeOf, worst } from './values.ts';
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
export type UpstreamView = z.output<typeof upstream>;

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
  merge: (parts) => ({ upstreams: (parts[0]?.upstreams ?? []).map(({ name }) => mergeUpstream(namedIn(parts, name))) }),
});

const namedIn = (parts: readonly UpstreamList[], name: string): UpstreamView[] =>
  parts.flatMap(({ upstreams }) => upstreams.filter((one) => one.name === name));

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

function mergeUpstream(parts: readonly UpstreamView[]): UpstreamView {
  const [first] = parts;
  if (first === undefined) throw new Error('no parts');
  const all = mergeDurations(parts.map((part) => part.durations));
  const breaker = mergeBreakers(parts);
  const targets = first.targets.map(({ origin }) =>
    mergeTarget(parts.flatMap((part) => part.targets.filter((one) => one.origin === origin))),
  );
  return {
    ...first,
    state: mergedState(parts, targets, breaker),
    pending: sum(parts.map(({ pending }) => pending)),
    breaker,
    retries: {
      made: sum(parts.map(({ retries }) => retries.made)),
      over_budget: sum(parts.map(({ retries }) => retries.over_budget)),
    },
    identity: parts.find(({ identity }) => identity.fallback !== null)?.identity ?? first.identity,
    tls_trouble: parts.find(({ tls_trouble }) => tls_trouble !== null)?.tls_trouble ?? null,
    latency_ms: latency(all),
    durations: all,
    targets,
  };
}

function mergeBreakers(parts: readonly UpstreamView[]): UpstreamView['breaker'] {
  const breakers = parts.flatMap(({ breaker }) => breaker ?? []);
  if (breakers.length === 0) return null;
  const total = (of: (one: (typeof breakers)[number]) => number) => sum(breakers.map(of));
  return {
    state: worst(
      breakers.map(({ state }) => state),
      breakerStates,
    ),
    successes: total(({ successes }) => successes),
    failures: total(({ failures }) => failures),
    opened: total(({ opened }) => opened),
    refused: total(({ refused }) => refused),
    retry_after_ms: Math.max(...breakers.map(({ retry_after_ms }) => retry_after_ms)),
  };
}

/** From the merged parts, since the first worker had that state. */
function mergedState(
  parts: readonly UpstreamView[],
  targets: readonly TargetView[],
  breaker: UpstreamView['breaker'],
): SinceView {
  const merged = upstreamState(targets.map(stateOf), breaker?.state.state as BreakerState | undefined);
  const same = parts.filter(({ state }) => state.state === merged.state);
  return viewOf(merged, earliest((same.length > 0 ? same : parts).map(({ state }) => state.since)));
}

const viewOf = ({ state, why, sinceMs }: State, from: string): SinceView => ({
  state,
  since: sinceMs === undefined ? from : timeOf(sinceMs),
  why: why ?? null,
});

const stateOf = ({ state: { state, why }, failing: requests, last_success }: TargetView): TargetState => ({
  state,
  why: why ?? undefined,
  failing: requests === null ? undefined : failingOf(requests),
  lastSuccessMs: last_success === null ? undefined : Date.parse(last_success),
});

const failingOf = ({ since: from, last, code, requests }: FailingView) => ({
  sinceMs: Date.parse(from),
  lastMs: Date.parse(last),
  code,
  count: requests,
});

/** What a worker says of failed requests is outdated once a request of another worker has succeeded. */
function mergeTarget(parts: readonly TargetView[]): TargetView {
  const [first] = parts;
  if (first === undefined) throw new Error('no parts');
  const errors = parts.flatMap(({ last_error }) => last_error ?? []).sort((a, b) => (a.at < b.at ? 1 : -1));
  const success = latest(parts.flatMap(({ last_success }) => last_success ?? []));
  const current = parts.filter((part) => part.failing === null || part.failing.last >= success);
  const requests = mergeFailing(
    current.flatMap((part) => part.failing ?? []),
    success,
  );
  return {
    origin: first.origin,
    state:
      requests === null
        ? worst(
            current.map(({ state }) => state),
            targetStates,
          )
        : viewOf(failingState(failingOf(requests), success === '' ? undefined : Date.parse(success)), requests.since),
    pending: sum(parts.map(({ pending }) => pending)),
    ejections: sum(parts.map(({ ejections }) => ejections)),
    ejected_for_ms: Math.max(...parts.map(({ ejected_for_ms }) => ejected_for_ms)),
    failing: requests,
    last_success: success === '' ? null : success,
    last_error: errors[0] ?? null,
  };
}

/** @param success The last one. Of requests that failed before it, only their end is known: at least one failed since. */
function mergeFailing(parts: readonly FailingView[], success: string): FailingView | null {
  const [last] = parts.toSorted((a, b) => (a.last < b.last ? 1 : -1));
  if (last === undefined) return null;
  return {
    since: earliest(parts.map((part) => (part.since > success ? part.since : part.last))),
    last: last.last,
    code: last.code,
    requests: sum(parts.map((part) => (part.since > success ? part.requests : 1))),
  };
}
