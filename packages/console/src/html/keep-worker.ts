import { Html } from '../html/html.ts';

/**
 * Keeps the links and forms of one worker's page on that worker. It changes markup only: a text cannot contain `href="`,
 * because the template escapes quotes.
 */
export function keepWorker(page: Html, worker: number | undefined): Html {
  if (worker === undefined) return page;
  const linked = page.text.replace(
    / (href|action)="(\/(?:console[^"#]*)?)(#[^"]*)?"/g,
    (whole, name: string, to: string, fragment = '') =>
      /[?;]worker=/.test(to) ? whole : ` ${name}="${to}${to.includes('?') ? '&amp;' : '?'}worker=${worker}${fragment}"`,
  );
  // For a GET form, the browser replaces the query of the action with the form's fields.
  return new Html(
    linked.replace(/<form [^>]*method="get"[^>]*>/g, `$&<input type="hidden" name="worker" value="${worker}">`),
  );
}
