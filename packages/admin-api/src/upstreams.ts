import { z } from 'zod';
import {
  earliest,
  first,
  fromWorst,
  known,
  latest,
  listOf,
  mergedBy,
  mergeMembers,
  newestFirst,
  sum,
  worstFirst,
} from './merge.ts';
import { durations, latencyOf } from './traffic.ts';
import { count, highest, ms, type Since, since, text, time, total } from './values.ts';

const failing = z.object({ since: time, last: time, code: z.string(), requests: count });
export type Failing = z.output<typeof failing>;

const lastError = mergedBy(z.object({ code: z.string(), at: time }), (all) => first(all.toSorted(newestFirst('at'))));

const target = z.object({
  origin: z.string(),
  state: since,
  pending: total,
  ejections: total,
  ejected_for_ms: highest,
  failing: failing
    .nullable()
    .describe('Failed requests since the last success. Null if the last request succeeded or there was none.'),
  last_success: time.nullable().describe('When a request last got a complete response, with any status.'),
  last_error: known(lastError),
});

const breaker = fromWorst(
  z.object({
    state: since,
    successes: total,
    failures: total,
    opened: total,
    refused: total,
    retry_after_ms: highest,
  }),
  ['closed', 'half-open', 'open'],
);

const upstream = z
  .object({
    name: z.string(),
    state: since,
    balance: z.string(),
    pending: total,
    breaker: known(breaker),
    retries: z.object({ made: total, over_budget: total }),
    identity: mergedBy(
      z.object({ algorithm: z.string(), uses: z.string(), fallback: text }),
      (all) => all.find(({ fallback }) => fallback !== null) ?? first(all),
    ),
    tls_trouble: known(z.string()),
    latency_ms: z.object({ p50: ms, p95: ms, p99: ms }).describe('Latency percentiles over the last ten minutes.'),
    durations: durations.describe(
      'Time from sending the signed request to the start of the response, per minute of the last hour.',
    ),
    targets: listOf(target, ({ origin }) => origin),
  })
  .meta({ id: 'Upstream' });
export type Upstream = z.output<typeof upstream>;

export const upstreamList = z.object({ upstreams: listOf(upstream, ({ name }) => name) });

/** Returns the latency over the last ten minutes. */
export const upstreamLatency = (all: z.output<typeof durations>) => latencyOf(all, (list) => sum(list.slice(-10)));

type State = Readonly<{ state: string; why: string | null }>;

/**
 * Returns an upstream's state, based on its targets and its breaker. It is `failing` while the last request to each
 * target failed, whatever the breaker and the health checks say.
 *
 * @returns `since` is undefined if the state starts when it is first observed.
 */
export function upstreamState(
  targets: readonly Readonly<{ state: State; failing: Failing | null; last_success: string | null }>[],
  circuit: string | undefined,
): State & Readonly<{ since?: string }> {
  const failures = targets.flatMap((one) => one.failing ?? []);
  if (failures.length === targets.length) {
    const { code } = first(failures.toSorted(newestFirst('last')));
    const requests = sum(failures.map((one) => one.requests));
    const successes = targets.flatMap(({ last_success }) => last_success ?? []).sort();
    return failingState({ since: latest(failures.map((one) => one.since)), code, requests }, successes.at(-1) ?? null);
  }
  if (circuit === 'open') return { state: 'out', why: 'the circuit breaker is open' };
  const bad = targets.map(({ state }) => state).filter(({ state }) => state !== 'healthy' && state !== 'not checked');
  const why = bad[0]?.why ?? null;
  if (bad.length === targets.length) return { state: 'out', why };
  if (circuit === 'half-open') return { state: 'degraded', why: 'the circuit breaker is half open' };
  if (bad.length > 0) return { state: 'degraded', why };
  return { state: targets.some(({ state }) => state.state === 'healthy') ? 'up' : 'not checked', why: null };
}

/** All requests to a failing target have failed since then, because a success ends the state. */
export function failingState(
  { since: from, code, requests }: Omit<Failing, 'last'>,
  lastSuccess: string | null,
): Since {
  const success = lastSuccess === null ? 'none has succeeded' : `last success ${lastSuccess}`;
  return { state: 'failing', since: from, why: `${code}; ${requests} of ${requests} failed; ${success}` };
}

/** The merged parts' state starts when the first process had it. */
mergedBy(upstream, (parts) => {
  const merged = mergeMembers(upstream, parts);
  const { targets, breaker: circuit, durations: all } = merged;
  const state = upstreamState(targets, circuit?.state.state);
  const same = parts.filter((part) => part.state.state === state.state);
  const from = earliest((same.length > 0 ? same : parts).map((part) => part.state.since));
  return { ...merged, state: { since: from, ...state }, latency_ms: upstreamLatency(all) };
});

/** Ordered from good to bad. */
const targetStates = ['healthy', 'not checked', 'full', 'ejected', 'checks fail'];

/** A process's report of failed requests is outdated once a request from another process has succeeded. */
mergedBy(target, (parts) => {
  const success = latest(['', ...parts.flatMap(({ last_success }) => last_success ?? [])]);
  const current = parts.filter((part) => part.failing === null || part.failing.last >= success);
  const requests = mergeFailing(
    current.flatMap((part) => part.failing ?? []),
    success,
  );
  const lastSuccess = success || null;
  const state =
    requests === null
      ? first(current.map((part) => part.state).sort(worstFirst(targetStates)))
      : failingState(requests, lastSuccess);
  return { ...mergeMembers(target, parts), state, failing: requests, last_success: lastSuccess };
});

/**
 * @param success The last success. At least one request has failed since, and only the end of earlier failures is
 *   known.
 */
function mergeFailing(parts: readonly Failing[], success: string): Failing | null {
  const [last] = parts.toSorted(newestFirst('last'));
  if (last === undefined) return null;
  return {
    since: earliest(parts.map((part) => (part.since > success ? part.since : part.last))),
    last: last.last,
    code: last.code,
    requests: sum(parts.map((part) => (part.since > success ? part.requests : 1))),
  };
}
