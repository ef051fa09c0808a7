import type { Event } from '@countersign/admin-api';
import { ago } from '../html/format.ts';
import { type Html, html } from '../html/html.ts';
import { breakable, pill, table } from '../html/parts.ts';

/** Lists state changes, newest first. */
export const eventTable = (events: readonly Event[], nowMs: number): Html =>
  table(
    'Changes',
    [
      { label: 'When', cell: ({ at }) => ago(at, nowMs) },
      {
        label: 'What',
        kind: 'main',
        cell: ({ kind, name, worker }) =>
          html`${kind} ${breakable(name)}${worker === null ? '' : html` <span class="muted">worker ${worker}</span>`}`,
      },
      {
        label: 'Change',
        cell: ({ from, to, why }) =>
          html`<span class="change">${from} → ${pill(to)}</span>${why === null ? '' : html` <span class="why">${why}</span>`}`,
      },
    ],
    events,
    'Nothing has changed since the gateway started.',
  );
