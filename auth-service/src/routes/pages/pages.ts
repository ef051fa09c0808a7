import { requireIdentity } from '@countersign/identity/express';
import { createRouter, type FormatError, type AppError as KitError } from '@countersign/process-kit';
import { type Content, html, pageAssets } from '@countersign/service-kit';
import type { Request, Router } from 'express';
import { adminRole } from '../../domain/accounts/account-rules.ts';
import { newPageSession, pageSessionCookie, pageSessionIn } from '../../domain/sessions/cookies.ts';
import { callerOf, type RouteParts } from '../route.ts';
import { accountPath, accountRouter } from './account/account-router.ts';
import { ownPages } from './account/own-pages.ts';
import { tenantPages } from './account/tenant-pages.ts';
import { accountPages } from './account-pages.ts';
import { link, type Page, summary, type View, wayOn } from './form.ts';
import { chosenLanguage, documentOf, type Language, languageCookie, languageOf, pageHeaders } from './layout.ts';
import { loginPages, loginPath, noAccount, noPage, type ShowStep, seeOther } from './login-pages.ts';
import { errorText, noticeOf, problemsOf, readForm, shownAgain, viewOf } from './view.ts';

/** Creates the routes of the account pages, which use the same flows as the API. This module protects the forms. */
export function accountPageRoutes(parts: RouteParts): Readonly<{ router: Router; formatError: FormatError }> {
  const assets = pageAssets('/account/files', { style: new URL('./assets/account.css', import.meta.url) });
  const router = createRouter();

  /** @param content The content below the heading. */
  const render = (req: Request, shown: Page, view: View, content: Content, refused = false): string => {
    const { token, to } = view.values;
    const query = (language: Language) =>
      new URLSearchParams({ lang: language, ...(token && { token }), ...(to && { to }) });
    const address = shown.stepField === undefined ? shown.path : loginPath;
    return documentOf({
      language: languageOf(req),
      title: shown.title(view.t),
      refused,
      inLanguage: (language) => `${address}?${query(language)}`,
      home: loginPath,
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
  const ofAccount = [...ownPages(parts, proceed), ...tenantPages(parts)];
  const account = accountRouter(parts, ofAccount, (req, shown, { view, who, body, refused }) =>
    documentOf({
      language: languageOf(req),
      title: shown.title(view.t),
      refused,
      inLanguage: (language) => `${shown.path}?lang=${language}`,
      home: parts.pages.afterLogin,
      assets: assets.urls,
      nav: ofAccount
        .filter(({ isHidden, forAdmins }) => !isHidden && (!forAdmins || who.role === adminRole))
        .map(({ path, title }) => ({ path, label: title(view.t), isCurrent: path === shown.path })),
      body,
    }),
  );

  router.use(assets.router, account.router);
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
      const given = readForm(parts, req, each.path, each);
      const view = viewOf(req, pageSessionIn(req.headers.cookie) ?? '');
      const call = { req, res, caller: callerOf(req, res, req.identity), view };
      await each.submit(call, each.fields.parse(given));
    });
  }

  /** Finds the page for an error. Browsers also get a page for paths below a page. Others get a problem document. */
  function pageFor(req: Request, { code }: KitError): Page | undefined {
    const asked = pages.find(({ path }) => path === req.path);
    if (ofAccount.some(({ path }) => path === req.path)) return noAccount;
    if (asked !== undefined || code !== 'not_found') return asked;
    const isBelow = [...pages, { path: accountPath }].some(({ path }) => req.path.startsWith(`${path}/`));
    return isBelow && req.accepts(['json', 'html']) === 'html' ? noPage : undefined;
  }

  const formatError: FormatError = (error, _entry, req) => {
    const kept = account.refusedPage(req);
    if (kept !== undefined) return { body: kept, headers: pageHeaders };
    const asked = pageFor(req, error);
    if (asked === undefined) return undefined;
    const refused = asked.startsOver?.(error.code) ? (pages.find(({ path }) => path === loginPath) ?? asked) : asked;
    const known = pageSessionIn(req.headers.cookie);
    // A cross-site request comes without the cookie, so its response must not replace the cookie.
    const isForeign = error.code === 'cross_site_refused';
    const session = known ?? newPageSession();
    const fresh = viewOf(req, session);
    const { t } = fresh;
    const view = { ...fresh, values: shownAgain(req), problems: problemsOf(refused.fieldOf, error, t) };
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
