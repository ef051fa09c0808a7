import { z } from 'zod';
import type { OpenUpstream } from '../../../upstreams/pool/open-upstream.ts';
import { describeUpstream } from '../../describe.ts';
import { durations, latencyOf, mergeDurations } from './traffic.ts';
import { count, since, sinceOf, sum, time, worst } from './values.ts';
import { type ConsoleSources, defineView } from './view.ts';

const lastError = z.object({ code: z.string(), at: time }).nullable();

const target = z.object({
  origin: z.string(),
  state: since,
  pending: count,
  ejections: count,
  ejected_for_ms: z.number(),
  last_error: lastError,
});

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
const upstreamStates = ['up', 'not checked', 'degraded', 'out'];
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
  const { states, startedAtMs, traffic, nowMs } = sources;
  const stateOf = (kind: string, of: string, unknown: string) => sinceOf(states.of(kind, of), unknown, startedAtMs);
  const { durations: counts, boundsMs } = traffic.history.ofUpstream(name, nowMs());
  const all = { bounds_ms: [...boundsMs], counts: counts.map((list) => [...list]) };
  return {
    name,
    state: stateOf('upstream', name, 'not checked'),
    balance,
    pending,
    breaker: breaker && { ...breaker, state: stateOf('breaker', name, breaker.state) },
    retries,
    identity: {
      algorithm: identity.algorithm,
      uses: identity.uses,
      fallback: 'fallback' in identity ? identity.fallback : null,
    },
    tls_trouble: tls?.trouble ?? null,
    latency_ms: latency(all),
    durations: all,
    targets: targets.map(({ origin, pending: ofTarget, ejections, ejected_for_ms, last_error }) => ({
      origin,
      state: stateOf('target', `${name} ${origin}`, 'not checked'),
      pending: ofTarget,
      ejections,
      ejected_for_ms,
      last_error,
    })),
  };
}

function mergeUpstream(parts: readonly UpstreamView[]): UpstreamView {
  const [first] = parts;
  if (first === undefined) throw new Error('no parts');
  const all = mergeDurations(parts.map((part) => part.durations));
  const breakers = parts.flatMap(({ breaker }) => breaker ?? []);
  const total = (of: (one: (typeof breakers)[number]) => number) => sum(breakers.map(of));
  return {
    ...first,
    state: worst(
      parts.map(({ state }) => state),
      upstreamStates,
    ),
    pending: sum(parts.map(({ pending }) => pending)),
    breaker: first.breaker && {
      state: worst(
        breakers.map(({ state }) => state),
        breakerStates,
      ),
      successes: total(({ successes }) => successes),
      failures: total(({ failures }) => failures),
      opened: total(({ opened }) => opened),
      refused: total(({ refused }) => refused),
      retry_after_ms: Math.max(...breakers.map(({ retry_after_ms }) => retry_after_ms)),
    },
    retries: {
      made: sum(parts.map(({ retries }) => retries.made)),
      over_budget: sum(parts.map(({ retries }) => retries.over_budget)),
    },
    identity: parts.find(({ identity }) => identity.fallback !== null)?.identity ?? first.identity,
    tls_trouble: parts.find(({ tls_trouble }) => tls_trouble !== null)?.tls_trouble ?? null,
    latency_ms: latency(all),
    durations: all,
    targets: first.targets.map(({ origin }) =>
      mergeTarget(parts.flatMap(({ targets }) => targets.filter((one) => one.origin === origin))),
    ),
  };
}

function mergeTarget(parts: readonly UpstreamView['targets'][number][]): UpstreamView['targets'][number] {
  const [first] = parts;
  if (first === undefined) throw new Error('no parts');
  const errors = parts.flatMap(({ last_error }) => last_error ?? []).sort((a, b) => (a.at < b.at ? 1 : -1));
  return {
    origin: first.origin,
    state: worst(
      parts.map(({ state }) => state),
      targetStates,
    ),
    pending: sum(parts.map(({ pending }) => pending)),
    ejections: sum(parts.map(({ ejections }) => ejections)),
    ejected_for_ms: Math.max(...parts.map(({ ejected_for_ms }) => ejected_for_ms)),
    last_error: errors[0] ?? null,
  };
}
