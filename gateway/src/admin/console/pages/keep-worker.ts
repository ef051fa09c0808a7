import { Html } from './html.ts';

/**
 * Makes the links and forms of a page about one worker stay with that worker. It changes the markup alone: a text cannot
 * contain `href="`, because the template escapes quotes.
 */
export function keepWorker(page: Html, worker: number | undefined): Html {
  if (worker === undefined) return page;
  const linked = page.text.replace(
    / (href|action)="(\/(?:console[^"#]*)?)(#[^"]*)?"/g,
    (whole, name: string, to: string, fragment = '') =>
      /[?;]worker=/.test(to) ? whole : ` ${name}="${to}${to.includes('?') ? '&amp;' : '?'}worker=${worker}${fragment}"`,
  );
  // A browser replaces the query of a form's address by the form's fields.
  return new Html(
    linked.replace(/<form [^>]*method="get"[^>]*>/g, `$&<input type="hidden" name="worker" value="${worker}">`),
  );
}
