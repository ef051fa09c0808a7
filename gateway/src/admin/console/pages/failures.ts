import type { FormError } from './explain.ts';
import { html } from './html.ts';
import type { Page } from './layout.ts';
import { link } from './parts.ts';

// Error pages. They keep the navigation, for a reader whose address is old or mistyped.

const onlyText = (title: string, body: Page['body']): Page => ({ title, place: '', live: false, body });

export const notFoundPage = (why = 'The console has no page at this address.'): Page =>
  onlyText('Not found', html`<p class="lead">${why}</p>`);

/** For a filter with a value that it cannot have. */
export const badQueryPage = (errors: readonly FormError[], path: string): Page =>
  onlyText(
    'Invalid filter',
    html`<ul class="plain">${errors.map(({ path: name, message }) => html`<li class="error"><code>${name}</code> ${message}.</li>`)}</ul>
<p>${link(path, 'Show all')}</p>`,
  );

export const noAnswerPage: Page = onlyText('No answer', html`<p class="lead">No worker answers. The log says why.</p>`);
