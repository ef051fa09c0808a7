import { requireIdentity } from '@countersign/identity/express';
import { createRouter, type FormatError, formBody, type AppError as KitError } from '@countersign/process-kit';
import { type Content, html, pageAssets } from '@countersign/service-kit';
import type { Request, Router } from 'express';
import { z } from 'zod';
import {
  formTokenOf,
  isFormToken,
  newPageSession,
  pageSessionCookie,
  pageSessionIn,
} from '../../domain/sessions/cookies.ts';
import { AppError } from '../../errors.ts';
import { callerOf, type RouteParts } from '../route.ts';
import { accountPages } from './account-pages.ts';
import { link, type Page, summary, type Values, type View, wayOn } from './form.ts';
import {
  chosenLanguage,
  documentOf,
  type Language,
  languageCookie,
  languageOf,
  languages,
  pageHeaders,
} from './layout.ts';
import { loginPages, loginPath, noPage, type ShowStep, seeOther } from './login-pages.ts';
import type { Texts } from './texts-en.ts';

/** Creates the routes of the account pages, which use the same flows as the API. This module protects the forms. */
export function accountPageRoutes(parts: RouteParts): Readonly<{ router: Router; formatError: FormatError }> {
  const assets = pageAssets('/account/files', { style: new URL('./assets/account.css', import.meta.url) });
  const router = createRouter();

  /** @param content The content below the heading. */
  const render = (req: Request, shown: Page, view: View, content: Content, refused = false): string => {
    const token = view.values.token;
    const query = (language: Language) => new URLSearchParams({ lang: language, ...(token && { token }) });
    const address = shown.stepField === undefined ? shown.path : loginPath;
    return documentOf({
      language: languageOf(req),
      title: shown.title(view.t),
      refused,
      inLanguage: (language) => `${address}?${query(language)}`,
      assets: assets.urls,
      body: content,
    });
  };

  const showStep: ShowStep = ({ req, res }, step, content) => {
    const session = newPageSession();
    res.append('set-cookie', pageSessionCookie(session));
    const next = viewOf(req, session);
    res.set(pageHeaders).send(render(req, step, next, content(next)));
  };

  const { pages: forLogin, proceed } = loginPages(parts, showStep);
  const pages = [...forLogin, ...accountPages(parts, proceed)];

  router.use(assets.router);
  const people = requireIdentity('anonymous', 'user');
  for (const each of pages) {
    router.get(each.path, people, async (req, res) => {
      if (each.stepField !== undefined) return seeOther(res, loginPath);
      const known = pageSessionIn(req.headers.cookie);
      const session = known ?? newPageSession();
      const view = viewOf(req, session);
      const values = await each.open?.({ req, res, caller: callerOf(req, res, req.identity), view });
      if (known === undefined) res.append('set-cookie', pageSessionCookie(session));
      const chosen = chosenLanguage(req);
      if (chosen !== undefined) res.append('set-cookie', languageCookie(chosen));
      const filled = { ...view, values: values ?? {} };
      res.set(pageHeaders).send(render(req, each, filled, [noticeOf(req, view.t), each.form(filled)]));
    });
    router.post(each.path, people, async (req, res) => {
      if (!parts.pages.origins.has(req.headers.origin ?? '')) throw new AppError('cross_site_refused');
      const { form_token: token, ...given } = textsIn(formBody(req));
      const session = pageSessionIn(req.headers.cookie);
      const step = each.stepField && given[each.stepField];
      if (session === undefined || !isFormToken(token ?? '', session, each.path, step))
        throw new AppError('form_expired');
      const call = { req, res, caller: callerOf(req, res, req.identity), view: viewOf(req, session) };
      await each.submit(call, each.fields.parse(given));
    });
  }

  /** Finds the page for an error. Browsers also get a page for paths below a page. Others get a problem document. */
  function pageFor(req: Request, { code }: KitError): Page | undefined {
    const asked = pages.find(({ path }) => path === req.path);
    if (asked !== undefined || code !== 'not_found') return asked;
    const isBelow = pages.some(({ path }) => req.path.startsWith(`${path}/`));
    return isBelow && req.accepts(['json', 'html']) === 'html' ? noPage : undefined;
  }

  const formatError: FormatError = (error, _entry, req) => {
    const asked = pageFor(req, error);
    if (asked === undefined) return undefined;
    const refused = asked.startsOver?.(error.code) ? (pages.find(({ path }) => path === loginPath) ?? asked) : asked;
    const known = pageSessionIn(req.headers.cookie);
    // A cross-site request comes without the cookie, so its response must not replace the cookie.
    const isForeign = error.code === 'cross_site_refused';
    const session = known ?? newPageSession();
    const fresh = viewOf(req, session);
    const { t } = fresh;
    const view = { ...fresh, values: shownAgain(req), problems: problemsOf(refused, error, t) };
    const content = isForeign
      ? wayOn(link(loginPath, t.toLogIn))
      : (refused.instead?.(error.code, view) ?? refused.form(view));
    const body = html`${summary(view, error.code, errorText(t, error.code))}${content}`;
    return {
      body: render(req, refused, view, body, true),
      headers: {
        ...pageHeaders,
        ...(known === undefined && !isForeign && { 'set-cookie': pageSessionCookie(session) }),
      },
    };
  };

  return { router, formatError };
}

const viewOf = (req: Request, session: string): View => ({
  t: languages[languageOf(req)],
  values: {},
  problems: new Map(),
  formToken: (action, step) => formTokenOf(session, action, step),
});

const textsIn = (body: unknown): Record<string, string> => z.record(z.string(), z.string()).parse(body ?? {});

/** The values of a refused form, without passwords and codes. Empty if the link was refused. */
function shownAgain(req: Request): Values {
  const given = Object.entries((req.body ?? {}) as object).filter(([, value]) => typeof value === 'string');
  const { password: _password, code: _code, form_token: _token, ...shown } = Object.fromEntries(given);
  return shown as Values;
}

function noticeOf({ query: { notice } }: Request, { notices }: Texts): Content {
  const text = typeof notice === 'string' && textOf(notices, notice);
  return text && html`<p class="notice good" role="status">${text}</p>`;
}

/** The form's invalid fields, each with a message. */
function problemsOf(refused: Page, { code, errors = [], detail }: KitError, t: Texts): ReadonlyMap<string, string> {
  const field = refused.fieldOf?.[code as keyof typeof refused.fieldOf];
  if (field !== undefined) return new Map([[field, errorText(t, code)]]);
  const weakness = textOf(t.weaknesses, String(detail?.weakness));
  return new Map(
    errors.flatMap(({ path }) => {
      const text = (path === 'password' ? weakness : undefined) ?? textOf(t.fields, path);
      return text === undefined ? [] : [[path, text] as const];
    }),
  );
}

const errorText = ({ errors }: Texts, code: string): string => textOf(errors, code) ?? errors.internal_error;

const textOf = (texts: Readonly<Record<string, string>>, key: string): string | undefined =>
  Object.hasOwn(texts, key) ? texts[key] : undefined;
