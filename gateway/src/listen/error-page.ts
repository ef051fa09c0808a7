import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Answer } from '@countersign/process-kit';
import type { Request } from 'express';

type Text = readonly [title: string, sentence: string];
type Texts = Readonly<{ id: string; byStatus: Readonly<Record<number, Text>>; caller: Text; ours: Text }>;

/** By language code. A 4xx status without its own text has `caller`, a 5xx status has `ours`. */
const languages: Readonly<Record<'en' | 'de', Texts>> = {
  en: {
    id: 'If you ask for help, give this request ID:',
    byStatus: {
      401: ['Log in first', 'This page needs a login. Open the application, and log in there.'],
      403: ['No access', 'You do not have access to this page.'],
      404: ['Page not found', 'There is no page at this address. Check the address.'],
      429: ['Too many requests', 'Wait a minute, then try again.'],
    },
    caller: ['This address does not work in a browser', 'Check the address, and go back to the previous page.'],
    ours: ['Not available right now', 'A part of this site does not work. Try again in a minute.'],
  },
  de: {
    id: 'Wenn Sie um Hilfe bitten, nennen Sie diese Anfragenummer:',
    byStatus: {
      401: ['Bitte anmelden', 'Diese Seite braucht eine Anmeldung. Melden Sie sich in der Anwendung an.'],
      403: ['Kein Zugriff', 'Sie haben keinen Zugriff auf diese Seite.'],
      404: ['Seite nicht gefunden', 'Unter dieser Adresse gibt es keine Seite. Prüfen Sie die Adresse.'],
      429: ['Zu viele Anfragen', 'Warten Sie eine Minute und versuchen Sie es dann noch einmal.'],
    },
    caller: ['Diese Adresse geht im Browser nicht', 'Prüfen Sie die Adresse und gehen Sie zur vorigen Seite zurück.'],
    ours: [
      'Gerade nicht erreichbar',
      'Ein Teil dieser Website geht nicht. Versuchen Sie es in einer Minute noch einmal.',
    ],
  },
};

const style =
  ':root{color-scheme:light dark;font:1rem/1.5 system-ui,sans-serif}body{max-width:34rem;margin:12vh auto;padding:0 1rem}h1{font-size:1.4rem}code{overflow-wrap:anywhere}';

const contentSecurityPolicy = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'`;

const varyBy = 'Accept, Accept-Language, Sec-Fetch-Mode';

/**
 * Turns a refusal into a page if a browser navigates, with the same status and challenge. Its text depends only on the
 * status, so the page repeats nothing of the request.
 *
 * @param request Express has prepared it.
 */
export function pageFor(refusal: Answer, request: IncomingMessage): Answer {
  const { accepts, acceptsLanguages, headers } = request as Request;
  const isPage = headers['sec-fetch-mode'] === 'navigate' || accepts.call(request, 'json', 'html') === 'html';
  if (request.method !== 'GET' || !isPage) return refusal;
  const { status } = refusal;
  const language = acceptsLanguages.call(request, 'en', 'de') === 'de' ? 'de' : 'en';
  const { id, byStatus, caller, ours } = languages[language];
  const [title, sentence] = byStatus[status] ?? (status < 500 ? caller : ours);
  // Nothing here needs escaping: the texts are our own, and so is the id.
  const body = `<!doctype html>
<html lang="${language}"><head><meta charset="utf-8"><title>${title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>${style}</style></head>
<body><main><h1>${title}</h1><p>${sentence}</p><p>${id}<br><code>${refusal.headers['x-request-id']}</code></p></main></body></html>
`;
  const { vary } = refusal.headers;
  return {
    ...refusal,
    body,
    headers: {
      ...refusal.headers,
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': contentSecurityPolicy,
      'content-length': String(Buffer.byteLength(body)),
      vary: vary === undefined ? varyBy : `${vary}, ${varyBy}`,
    },
  };
}
