import type { Request } from '@countersign/admin-api';
import { clock, milliseconds } from '../html/format.ts';
import { type Content, type Html, html } from '../html/html.ts';
import { pill, requestLink, routeLink, type Tone, table } from '../html/parts.ts';

/** Lists requests, one per row, each with a link to its own page. */
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
            html`<span class="method">${method || '–'}</span> <span class="path one-line">${path || 'unreadable'}</span>`,
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
