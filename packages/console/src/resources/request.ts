import { namedObject } from '@countersign/service-kit';
import { z } from 'zod';
import { milliseconds } from '../html/format.ts';
import { type Content, clock, type Html, html, pill, requestLink, routeLink, type Tone, table } from '../html/parts.ts';
import { ms, text, time } from '../schema/merge.ts';

export const requestSchema = namedObject('Request', {
  id: z.string().describe('The `x-request-id`.'),
  client_request_id: text.describe('The id that the client or another proxy gave the request.'),
  trace_id: text.describe('The trace id. Null if tracing is off.'),
  at: time.describe('When the request ended.'),
  method: z.string(),
  path: z.string().describe('The path without the query. In a list, at most 256 characters.'),
  status: z.int().describe('The response status. 0 means that the client disconnected before the response started.'),
  aborted: z.boolean(),
  route: text,
  rule: text.describe(
    "The rule that refused the request, or the route's last rule, which allowed it. Null if no rule decided.",
  ),
  code: text.describe('The error code. Null if the gateway did not refuse the request.'),
  fault: text,
  title: text.describe("The refusal's public message."),
  detail: z.record(z.string(), z.string()).describe('The reason, for operators.'),
  identity: text,
  user_id: text,
  role: text,
  tenant_id: text,
  service_id: text,
  client_id: text,
  actor: text,
  issuer: text.describe("The token's issuer."),
  scope: z.array(z.string()).describe('The scopes in the token that the configuration knows.'),
  claims: z
    .record(z.string(), z.array(z.union([z.string(), z.number(), z.boolean()])))
    .describe('The claims in the token that rules compare.'),
  bound: z.boolean().describe('Whether the token is bound to a key.'),
  transaction_id: text,
  ip: text,
  upstream: text,
  target: text,
  attempts: z.int().nullable(),
  retried_after: text,
  error: text.describe('The kind of error that caused a 5xx. The log has its text.'),
  total_ms: z.number(),
  decided_ms: ms.describe('The time until the request was signed.'),
  waited_ms: ms.describe('The time from then until the request had a connection.'),
  upstream_ms: ms.describe('The time from then until the response began.'),
});
export type Request = z.output<typeof requestSchema>;

export function requestTable(requests: readonly Request[], empty: Content, nowMs: number): Html {
  return table(
    'Requests',
    [
      { label: 'Time', cell: ({ at }) => clock(at, nowMs) },
      {
        label: 'Request',
        kind: 'main',
        cell: ({ id, method, path }) =>
          requestLink(
            id,
            html`<span class="muted">${method || '–'}</span> <span class="path one-line">${path || 'unreadable'}</span>`,
          ),
      },
      { label: 'Status', cell: statusOf },
      { label: 'Route', cell: routeOf },
      { label: 'Caller', cell: callerOf },
      { label: 'Took', kind: 'number', cell: ({ total_ms }) => milliseconds(total_ms) },
    ],
    requests,
    empty,
  );
}

/** A request without a route was refused before any route matched, or the gateway answered it itself. */
export function routeOf({ route, code }: Request): Html {
  if (route !== null) return routeLink(route);
  return html`<span class="muted">${code === null ? 'the gateway itself' : 'none'}</span>`;
}

export function statusOf({ status, code, aborted }: Request): Html {
  return html`${pill(status === 0 ? 'client disconnected' : String(status), toneOfStatus(status))} ${code === null ? '' : html`<code>${code}</code>`}${aborted ? html` <span class="muted">aborted</span>` : ''}`;
}

export function toneOfStatus(status: number): Tone {
  if (status >= 500) return 'bad';
  if (status >= 400) return 'warn';
  return status === 0 ? 'quiet' : 'good';
}

export function callerOf({ identity, user_id, tenant_id, service_id, client_id }: Request): Html {
  const user =
    user_id === null
      ? ''
      : html`<span class="caller id">${user_id}</span> <span class="caller muted">${tenant_id}</span>`;
  if (service_id !== null) return html`service ${service_id} ${user}`;
  if (user_id === null && client_id !== null) return html`OAuth client <span class="id">${client_id}</span>`;
  return user_id === null ? html`<span class="muted">${identity ?? 'not identified'}</span>` : html`${user}`;
}
