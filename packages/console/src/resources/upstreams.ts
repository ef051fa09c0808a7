import { namedObject } from '@countersign/service-kit';
import { z } from 'zod';
import { chart } from '../html/chart.ts';
import { duration, milliseconds, number } from '../html/format.ts';
import * as ui from '../html/parts.ts';
import { type Html, html, pageOf } from '../html/parts.ts';
import * as m from '../schema/merge.ts';
import { view } from '../schema/view.ts';
import { durations, latencyLines, latencyOf } from './traffic.ts';

const failing = z.object({ since: m.time, last: m.time, code: z.string(), requests: m.count });
export type Failing = z.output<typeof failing>;

const lastError = m.mergedBy(z.object({ code: z.string(), at: m.time }), (all) =>
  m.first(all.toSorted(m.newestFirst('at'))),
);

const target = z.object({
  origin: z.string(),
  state: m.since,
  pending: m.total,
  ejections: m.total,
  ejected_for_ms: m.highest,
  failing: failing
    .nullable()
    .describe('Failed requests since the last success. Null if the last request succeeded or there was none.'),
  last_success: m.time.nullable().describe('When a request last got a complete response, with any status.'),
  last_error: m.known(lastError),
});

const breaker = m.fromWorst(
  z.object({
    state: m.since,
    successes: m.total,
    failures: m.total,
    opened: m.total,
    refused: m.total,
    retry_after_ms: m.highest,
  }),
  ['closed', 'half-open', 'open'],
);

const identityToken = z.object({
  summary: z.string().describe('Who gets a token, and what a copy of one can do.'),
  header: z.string(),
  callers: z.array(z.string()),
  bind: z.enum(['request', 'none']),
  lifetime_sec: z.number(),
  bound: m.total.describe('Tokens for one request each.'),
  unbound: m.total,
  reused: m.total.describe('Requests with an unbound token of an earlier request.'),
  claims_left_out: m.total,
});

const upstream = namedObject('Upstream', {
  name: z.string(),
  state: m.since,
  balance: z.string(),
  pending: m.total,
  breaker: m.known(breaker),
  retries: z.object({ made: m.total, over_budget: m.total }),
  identity: m.mergedBy(
    z.object({ algorithm: z.string(), headers: z.boolean(), uses: z.string(), fallback: m.text }),
    (all) => all.find(({ fallback }) => fallback !== null) ?? m.first(all),
  ),
  identity_token: m.known(identityToken).describe('The identity tokens of the service. Null if it receives none.'),
  tls_trouble: m.known(z.string()),
  latency_ms: z.object({ p50: m.ms, p95: m.ms, p99: m.ms }).describe('Latency percentiles over the last ten minutes.'),
  durations: durations.describe(
    'Time from sending the signed request to the start of the response, per minute of the last hour.',
  ),
  targets: m.listOf(target, ({ origin }) => origin),
});
export type Upstream = z.output<typeof upstream>;

export const upstreamsView = view(
  'State',
  '/api/upstreams',
  'listUpstreams',
  'Upstreams and their targets: health, circuit breaker, latency, last error',
  z.object({ upstreams: m.listOf(upstream, ({ name }) => name) }),
);

export const upstreamLatency = (all: z.output<typeof durations>) => latencyOf(all, (list) => m.sum(list.slice(-10)));

type State = Readonly<{ state: string; why: string | null }>;

/** `failing` while the last request to each target failed, whatever the breaker and the health checks say. */
export function upstreamState(
  targets: readonly Readonly<{ state: State; failing: Failing | null; last_success: string | null }>[],
  circuit: string | undefined,
): State & Readonly<{ since?: string }> {
  const failures = targets.flatMap((one) => one.failing ?? []);
  if (failures.length === targets.length) {
    const { code } = m.first(failures.toSorted(m.newestFirst('last')));
    const requests = m.sum(failures.map((one) => one.requests));
    const successes = targets.flatMap(({ last_success }) => last_success ?? []).sort();
    return failingState(
      { since: m.latest(failures.map((one) => one.since)), code, requests },
      successes.at(-1) ?? null,
    );
  }
  if (circuit === 'open') return { state: 'out', why: 'the circuit breaker is open' };
  const bad = targets.map(({ state }) => state).filter(({ state }) => state !== 'healthy' && state !== 'not checked');
  const why = bad[0]?.why ?? null;
  // A target whose last check failed still gets requests.
  if (bad.filter(({ state }) => state !== 'check failed').length === targets.length) return { state: 'out', why };
  if (circuit === 'half-open') return { state: 'degraded', why: 'the circuit breaker is half open' };
  if (bad.length > 0) return { state: 'degraded', why };
  return { state: targets.some(({ state }) => state.state === 'healthy') ? 'up' : 'not checked', why: null };
}

/** All requests to a failing target have failed since then, because a success ends the state. */
export function failingState({ since: from, code, requests }: Omit<Failing, 'last'>, lastSuccess: string | null) {
  const success = lastSuccess === null ? 'none has succeeded' : `last success ${lastSuccess}`;
  return { state: 'failing', since: from, why: `${code}; ${requests} of ${requests} failed; ${success}` };
}

/** The merged parts' state starts when the first process had it. */
m.mergedBy(upstream, (parts) => {
  const merged = m.mergeMembers(upstream, parts);
  const { targets, breaker: circuit, durations: all } = merged;
  const state = upstreamState(targets, circuit?.state.state);
  const same = parts.filter((part) => part.state.state === state.state);
  const from = m.earliest((same.length > 0 ? same : parts).map((part) => part.state.since));
  return { ...merged, state: { since: from, ...state }, latency_ms: upstreamLatency(all) };
});

/** Ordered from good to bad. */
const targetStates = ['healthy', 'not checked', 'check failed', 'full', 'ejected', 'checks fail'];

/** A process's report of failed requests is outdated once a request from another process has succeeded. */
m.mergedBy(target, (parts) => {
  const success = m.latest(['', ...parts.flatMap(({ last_success }) => last_success ?? [])]);
  const current = parts.filter((part) => part.failing === null || part.failing.last >= success);
  const requests = mergeFailing(
    current.flatMap((part) => part.failing ?? []),
    success,
  );
  const lastSuccess = success || null;
  const state =
    requests === null
      ? m.first(current.map((part) => part.state).sort(m.worstFirst(targetStates)))
      : failingState(requests, lastSuccess);
  return { ...m.mergeMembers(target, parts), state, failing: requests, last_success: lastSuccess };
});

/** @param success At least one request has failed since. Only the end of earlier failures is known. */
function mergeFailing(parts: readonly Failing[], success: string): Failing | null {
  const [last] = parts.toSorted(m.newestFirst('last'));
  if (last === undefined) return null;
  return {
    since: m.earliest(parts.map((part) => (part.since > success ? part.since : part.last))),
    last: last.last,
    code: last.code,
    requests: m.sum(parts.map((part) => (part.since > success ? part.requests : 1))),
  };
}

const hourMs = 3_600_000;

export const upstreamsPage = pageOf(upstreamsView, ({ upstreams }, nowMs) =>
  upstreams.length === 0
    ? html`<p class="lead">The configuration has no upstreams.</p>`
    : badUpstreamsFirst(upstreams).map((one) => upstreamPart(one, nowMs)),
);

/** Sorts failing and unavailable upstreams first, then degraded ones, then the others in file order. */
export const badUpstreamsFirst = (upstreams: readonly Upstream[]): readonly Upstream[] =>
  upstreams.toSorted((a, b) => rankOf(b) - rankOf(a));

const ranks: Readonly<Record<string, number>> = { failing: 2, out: 2, degraded: 1 };
const rankOf = ({ state: { state } }: Upstream): number => ranks[state] ?? 0;

function upstreamPart(upstream: Upstream, nowMs: number): Html {
  const { name, state, targets } = upstream;
  return html`<section class="card" id="${name}"><header class="row"><h2>${name}</h2><div class="muted">${ui.stateSince(state, nowMs)}</div></header>
${ui.table(
  `Targets of ${name}`,
  [
    { label: 'Target', kind: 'main', cell: ({ origin }) => html`${origin}` },
    {
      label: 'State',
      cell: (one) =>
        html`${ui.stateSince(one.state, nowMs)}${one.ejected_for_ms > 0 ? html` <span class="muted">for ${duration(one.ejected_for_ms)} more</span>` : ''}`,
    },
    { label: 'Pending', kind: 'number', cell: ({ pending }) => number(pending) },
    { label: 'Ejections', kind: 'number', cell: ({ ejections }) => number(ejections) },
    {
      label: 'Last error',
      cell: ({ last_error: last }) =>
        last === null ? 'none' : html`${ui.code(last.code)} <span class="muted">${ui.ago(last.at, nowMs)}</span>`,
    },
  ],
  targets,
  'No target.',
)}
<div class="columns stack">${ui.definitions(definitionsOf(upstream, nowMs))}${latencyChart(upstream, nowMs)}</div></section>`;
}

function definitionsOf(upstream: Upstream, nowMs: number): ui.Definitions {
  const { breaker, pending, retries, identity, identity_token: token, tls_trouble, balance, latency_ms } = upstream;
  return [
    ['Circuit breaker', breaker ? ui.stateSince(breaker.state, nowMs) : 'not configured'],
    [
      'In its window',
      breaker && `${number(breaker.failures)} of ${number(breaker.failures + breaker.successes)} failed`,
    ],
    [
      'Opened',
      breaker &&
        `${number(breaker.opened)} time${breaker.opened === 1 ? '' : 's'}; ${number(breaker.refused)} requests refused`,
    ],
    ['Pending requests', number(pending)],
    [
      'Latency, ten minutes',
      latency_ms.p50 === null
        ? 'no request'
        : `p50 ${milliseconds(latency_ms.p50)}, p95 ${milliseconds(latency_ms.p95)}, p99 ${milliseconds(latency_ms.p99)}`,
    ],
    ['Retries', `${number(retries.made)} made, ${number(retries.over_budget)} over the budget`],
    [
      'Signs with',
      identity.headers
        ? html`${ui.code(identity.uses)}${identity.fallback === null ? '' : html` <span class="muted">because of ${identity.fallback}</span>`}`
        : 'nothing: it receives a token alone',
    ],
    ['Identity token', token?.summary ?? null],
    ['Tokens', token && `${number(token.bound + token.unbound)} signed, ${number(token.reused)} reused`],
    ['Balance', balance],
    ['TLS files', tls_trouble && html`<span class="why">${tls_trouble}</span>`],
  ];
}

function latencyChart({ durations, latency_ms }: Upstream, nowMs: number): Html {
  if (durations.counts.every((bucket) => bucket.every((count) => count === 0))) {
    return html`<p class="lead">This upstream has answered no request in the last hour.</p>`;
  }
  return chart({
    title: 'Latency until the response starts',
    kind: 'lines',
    lines: latencyLines(durations),
    start: new Date(nowMs - hourMs).toISOString(),
    stepSec: 60,
    format: (ms) => (ms === 0 ? '0' : milliseconds(ms)),
    summary: `p95 ${milliseconds(latency_ms.p95)} over ten minutes`,
  });
}
