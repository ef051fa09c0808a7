import { namedObject } from '@countersign/service-kit';
import { z } from 'zod';
import { duration, number } from '../html/format.ts';
import { ago, type Content, forTime, html, pageOf, pill, routeLink, tableCard } from '../html/parts.ts';
import * as m from '../schema/merge.ts';
import { view } from '../schema/view.ts';

const limited = namedObject('LimitedCaller', {
  route: z.string(),
  limit: z.string().describe("The limit's name in the `ratelimit-policy` header, or `refused tokens`."),
  user_id: m.text,
  tenant_id: m.text,
  ip: m.text,
  since: m.earliestTime.describe('When the caller reached the limit.'),
  last: m.time,
  until: m.time.describe("When the caller's window ends."),
  refused: m.total,
  now: m.mergedBy(z.boolean(), (values) => values.includes(true)).describe('Whether the caller is still at the limit.'),
});
m.mergedBy(limited, (same) => m.mergeMembers(limited, same.toSorted(m.newestFirst('last'))));
export type LimitedCaller = z.output<typeof limited>;

/** Callers that are limited now come first, then those that were refused most recently. */
const limitedFirst = (a: LimitedCaller, b: LimitedCaller): number =>
  Number(b.now) - Number(a.now) || m.newestFirst('last')(a, b);

export const limitsView = view(
  'State',
  '/api/limits',
  'listLimits',
  'Rate limits, and the callers that they refuse or recently refused',
  z.object({
    callers: m.listOf(
      limited,
      ({ route, limit, user_id, tenant_id, ip }) => [route, limit, user_id, tenant_id, ip].join(' '),
      limitedFirst,
    ),
    limits: z.array(
      z.object({
        route: z.string(),
        requests: m.count,
        per_sec: m.count,
        by: z.string(),
        on_store_failure: z.string(),
      }),
    ),
    counted_in: z.enum(['redis', 'process']),
    redis: m
      .mergedBy(m.text.clone(), (states) => states.find((state) => state !== 'ready') ?? states[0] ?? null)
      .describe('The state of the Redis connection. Null if Redis is not configured.'),
  }),
);

export const limitsPage = pageOf(limitsView, ({ callers, limits, counted_in, redis }, nowMs) => {
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
});

function callerOf({ limit, user_id, tenant_id, ip }: LimitedCaller): Content {
  if (limit.startsWith('route')) return 'everyone on this route';
  if (limit.startsWith('tenant') && tenant_id !== null) return html`tenant <span class="id">${tenant_id}</span>`;
  if (limit.startsWith('user') && user_id !== null)
    return html`<span class="id">${user_id}</span> <span class="muted">${tenant_id}</span>`;
  return html`address <span class="id">${ip}</span>`;
}
