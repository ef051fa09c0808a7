import type { EventItem } from '../../api/events.ts';
import { ago } from './format.ts';
import { type Html, html } from './html.ts';
import { breakable, pill, table } from './parts.ts';

/** Changes of states, newest first. */
export const eventTable = (events: readonly EventItem[], nowMs: number): Html =>
  table(
    'Changes',
    [
      { label: 'When', cell: ({ at }) => ago(at, nowMs) },
      {
        label: 'What',
        kind: 'main',
        cell: ({ kind, name, worker }) =>
          html`${kind} <span class="long">${breakable(name)}</span>${worker === null ? '' : html` <span class="muted">worker ${worker}</span>`}`,
      },
      {
        label: 'Change',
        cell: ({ from, to, why }) =>
          html`<span class="change">${from} → ${pill(to)}</span>${why === null ? '' : html` <span class="why">${why}</span>`}`,
      },
    ],
    events,
    'Nothing changed since the start.',
  );
