import type { Answers, Upstream } from '@countersign/admin-api';
import { chart, latencyLines } from '../html/chart.ts';
import { ago, duration, milliseconds, number } from '../html/format.ts';
import { type Content, type Html, html } from '../html/html.ts';
import { code, type Definitions, definitions, stateSince, table } from '../html/parts.ts';

const hourMs = 3_600_000;

/** The upstreams page: which ones are down, since when, and why. */
export function upstreamsPage({ upstreams }: Answers['/api/upstreams'], nowMs: number): Content {
  return upstreams.length === 0
    ? html`<p class="empty">The configuration has no upstreams.</p>`
    : worstFirst(upstreams).map((one) => upstreamPart(one, nowMs));
}

/** Sorts failing and unavailable upstreams first, then degraded ones, then the others in file order. */
export const worstFirst = (upstreams: readonly Upstream[]): readonly Upstream[] =>
  upstreams.toSorted((a, b) => rankOf(b) - rankOf(a));

const ranks: Readonly<Record<string, number>> = { failing: 2, out: 2, degraded: 1 };
const rankOf = ({ state: { state } }: Upstream): number => ranks[state] ?? 0;

function upstreamPart(upstream: Upstream, nowMs: number): Html {
  const { name, state, targets } = upstream;
  return html`<section class="card" id="${name}"><header class="row"><h2>${name}</h2><div class="muted">${stateSince(state, nowMs)}</div></header>
${table(
  `Targets of ${name}`,
  [
    { label: 'Target', kind: 'main', cell: ({ origin }) => html`${origin}` },
    {
      label: 'State',
      cell: (one) =>
        html`${stateSince(one.state, nowMs)}${one.ejected_for_ms > 0 ? html` <span class="muted">for ${duration(one.ejected_for_ms)} more</span>` : ''}`,
    },
    { label: 'Pending', kind: 'number', cell: ({ pending }) => number(pending) },
    { label: 'Ejections', kind: 'number', cell: ({ ejections }) => number(ejections) },
    {
      label: 'Last error',
      cell: ({ last_error: last }) =>
        last === null ? 'none' : html`${code(last.code)} <span class="muted">${ago(last.at, nowMs)}</span>`,
    },
  ],
  targets,
  'No target.',
)}
<div class="columns stack">${definitions(definitionsOf(upstream, nowMs))}${latencyChart(upstream, nowMs)}</div></section>`;
}

function definitionsOf(upstream: Upstream, nowMs: number): Definitions {
  const { breaker, pending, retries, identity, tls_trouble, balance, latency_ms } = upstream;
  return [
    ['Circuit breaker', breaker ? stateSince(breaker.state, nowMs) : 'not configured'],
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
      html`${code(identity.uses)}${identity.fallback === null ? '' : html` <span class="muted">because of ${identity.fallback}</span>`}`,
    ],
    ['Balance', balance],
    ['TLS files', tls_trouble && html`<span class="why">${tls_trouble}</span>`],
  ];
}

function latencyChart({ durations, latency_ms }: Upstream, nowMs: number): Html {
  if (durations.counts.every((bucket) => bucket.every((count) => count === 0))) {
    return html`<p class="empty">This upstream has answered no request in the last hour.</p>`;
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
