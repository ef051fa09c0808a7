import { html } from './html.ts';
import type { Page } from './layout.ts';

/** Keeps the navigation in reach of a reader whose address is old or mistyped. */
export const notFoundPage = (why = 'The console has no page at this address.'): Page => ({
  title: 'Not found',
  place: '',
  live: false,
  body: html`<p class="lead">${why}</p>`,
});
