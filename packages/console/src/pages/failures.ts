import type { FieldError } from '@countersign/service-kit';
import { html } from '../html/html.ts';
import type { Page } from '../html/layout.ts';
import { link } from '../html/parts.ts';

// Error pages. They keep the navigation, for readers with an old or mistyped URL.

const onlyText = (status: number, title: string, body: Page['body']): Page => ({ status, title, body, live: false });

export const notFoundPage = (why = 'The console has no page at this address.'): Page =>
  onlyText(404, 'Not found', html`<p class="lead">${why}</p>`);

/** For invalid filter values. */
export const badQueryPage = (errors: readonly FieldError[], path: string): Page =>
  onlyText(
    422,
    'Invalid filter',
    html`<ul>${errors.map(({ path: name, message }) => html`<li class="error"><code>${name}</code> ${message}.</li>`)}</ul>
<p>${link(path, 'Show all')}</p>`,
  );

export const noAnswerPage: Page = onlyText(503, 'No answer', html`<p class="lead">No worker answers. See the log.</p>`);
