import type { Answers, LimitedCaller } from '@countersign/admin-api';
import { ago, duration, forTime, number } from '../html/format.ts';
import { type Content, type Html, html } from '../html/html.ts';
import { pill, routeLink, tableCard } from '../html/parts.ts';

/** The limits page: the callers that have reached a limit, and the configured limits. */
export function limitsPage({ callers, limits, counted_in, redis }: Answers['/api/limits'], nowMs: number): Html {
  const where =
    counted_in === 'process'
      ? 'Each process counts separately.'
      : html`Counted in Redis, for all gateways. ${pill(redis === 'ready' ? 'connected' : 'not connected')} The list contains only callers that this gateway refused.`;
  return html`<p class="lead">${where}</p>
${tableCard(
  'Callers at a limit',
  [
    { label: 'Caller', kind: 'main', cell: callerOf },
    {
      label: 'Now',
      cell: ({ now, until }) =>
        now
          ? html`${pill('limited', 'warn')} <span class="muted">ends ${ago(until, nowMs)}</span>`
          : pill('ended', 'quiet'),
    },
    { label: 'Limit', cell: ({ limit }) => limit },
    { label: 'Route', cell: ({ route }) => routeLink(route) },
    { label: 'Refused', kind: 'number', cell: ({ refused }) => number(refused) },
    { label: 'Since', cell: ({ since }) => forTime(since, nowMs) },
    { label: 'Last', cell: ({ last }) => ago(last, nowMs) },
  ],
  callers,
  'No caller has reached a limit since the gateway started.',
)}
${tableCard(
  'Configured limits',
  [
    { label: 'Route', kind: 'main', cell: ({ route }) => routeLink(route) },
    { label: 'Requests', kind: 'number', cell: ({ requests }) => number(requests) },
    { label: 'Per', cell: ({ per_sec }) => duration(per_sec * 1000) },
    { label: 'By', cell: ({ by }) => by },
    {
      label: 'Without Redis',
      cell: ({ on_store_failure }) => (on_store_failure === 'deny' ? 'refuse with 503' : 'count in this process'),
    },
  ],
  limits,
  'No route has a limit.',
)}`;
}

function callerOf({ limit, user_id, tenant_id, ip }: LimitedCaller): Content {
  if (limit.startsWith('route')) return 'everyone on this route';
  if (limit.startsWith('tenant') && tenant_id !== null) return html`tenant <span class="id">${tenant_id}</span>`;
  if (limit.startsWith('user') && user_id !== null)
    return html`<span class="id">${user_id}</span> <span class="muted">${tenant_id}</span>`;
  return html`address <span class="id">${ip}</span>`;
}
