import { requireIdentity } from '@countersign/identity/express';
import { createRouter, toAppError } from '@countersign/process-kit';
import { type Content, Html, html } from '@countersign/service-kit';
import type { Request, Response, Router } from 'express';
import type { z } from 'zod';
import { adminRole } from '../../../domain/accounts/account-rules.ts';
import {
  newPageSession,
  pageSessionCookie,
  pageSessionIn,
  refreshCookiesIn,
} from '../../../domain/sessions/cookies.ts';
import { AppError, type ErrorCode } from '../../../errors.ts';
import { type BrowserSession, readBrowserSession } from '../../../flows/sessions/refresh.ts';
import type { Admin } from '../../../flows/tenants/members.ts';
import { callerOf, type RouteParts } from '../../route.ts';
import { form, link, type PageCall, summary, type View, wayOn } from '../form.ts';
import { chosenLanguage, languageCookie, pageHeaders } from '../layout.ts';
import { seeOther } from '../login-pages.ts';
import type { Texts } from '../texts-en.ts';
import { errorText, noticeOf, problemsOf, readForm, shownAgain, viewOf } from '../view.ts';

/** A request to a page of the account, by the person whose session the browser's cookie names. */
export type AccountCall = PageCall & Readonly<{ who: BrowserSession }>;

type Notice = keyof Texts['notices'];

type Action<Schema extends z.ZodObject = z.ZodObject> = Readonly<{
  fields: Schema;
  /** @returns The notice after a redirect, content to show once, or undefined if the response has been sent. */
  run(call: AccountCall, given: z.output<Schema>): Promise<Notice | Html | undefined>;
}>;

export const action = <Schema extends z.ZodObject>(fields: Schema, run: Action<Schema>['run']): Action =>
  ({ fields, run }) as unknown as Action;

export type AccountPage = Readonly<{
  path: string;
  title(t: Texts): string;
  /** Whether only administrators of the tenant can use it. The flows check this again, under locks. */
  forAdmins?: boolean;
  /** Whether the navigation leaves it out. */
  isHidden?: boolean;
  /** Returns the content, or sends the whole response itself. */
  show(call: AccountCall): Promise<Content> | Content;
  /** By the value of the form's field `do`. */
  actions: Readonly<Record<string, Action>>;
  fieldOf?: Readonly<Partial<Record<ErrorCode, string>>>;
}>;

/** A form that runs an action of its page. */
export const actionForm = (view: View, path: string, name: string, content: Content, hidden = {}): Html =>
  form(view, { action: path, hidden: { do: name, ...hidden } }, content);

export const adminIn = ({ who, caller }: AccountCall): Admin => ({ ...who, requestId: caller.requestId });

const hasForms = ({ actions }: AccountPage): boolean => Object.keys(actions).length > 0;

type Render = (
  req: Request,
  shown: AccountPage,
  parts: Readonly<{ view: View; who: BrowserSession; body: Content; refused: boolean }>,
) => string;

export const accountPath = '/account';

/** Creates the routes of the account. @returns `refusedPage` is the page of a request that was refused. */
export function accountRouter(
  parts: RouteParts,
  pages: readonly AccountPage[],
  render: Render,
): Readonly<{ router: Router; refusedPage(req: Request): string | undefined }> {
  const router = createRouter();
  const refused = new WeakMap<Request, string>();
  const people = requireIdentity('anonymous', 'user');

  /** @returns undefined if the browser has no session, and was sent to the login page. */
  async function enter(req: Request, res: Response): Promise<AccountCall | undefined> {
    const { cookie } = req.headers;
    const [token, another] = refreshCookiesIn(cookie);
    const who = token === undefined || another !== undefined ? undefined : await readBrowserSession(parts, token);
    if (who === undefined) return void seeOther(res, '/login?to=account');
    const known = pageSessionIn(cookie);
    const session = known ?? newPageSession();
    if (known === undefined) res.append('set-cookie', pageSessionCookie(session));
    return { req, res, who, caller: callerOf(req, res, req.identity), view: viewOf(req, session, who.sessionId) };
  }

  function send(page: AccountPage, { req, res, who, view }: AccountCall, body: Content): void {
    res.set(pageHeaders).send(render(req, page, { view, who, body, refused: false }));
  }

  /** Runs `work`. If it is refused, keeps a page with the error and the forms for `refusedPage`. */
  async function guarded(page: AccountPage, call: AccountCall, work: () => Promise<void>): Promise<void> {
    const { req, who } = call;
    try {
      if (page.forAdmins && who.role !== adminRole) throw new AppError('insufficient_role');
      await work();
    } catch (thrown) {
      if (call.res.headersSent) throw thrown;
      const error = toAppError(thrown);
      const { t } = call.view;
      const view = { ...call.view, values: shownAgain(req), problems: problemsOf(page.fieldOf, error, t) };
      // Without forms there is nothing to try again.
      const canRetry = hasForms(page) && error.code !== 'insufficient_role';
      const elsewhere = wayOn(link(accountPath, t.account.title));
      const shown = canRetry ? await Promise.resolve(page.show({ ...call, view })).catch(() => elsewhere) : elsewhere;
      const body = html`${summary(view, error.code, errorText(t, error.code))}${shown}`;
      refused.set(req, render(req, page, { view, who, body, refused: true }));
      throw error;
    }
  }

  for (const page of pages) {
    router.get(page.path, people, async (req, res) => {
      const call = await enter(req, res);
      if (call === undefined) return;
      const language = chosenLanguage(req);
      if (language !== undefined) res.append('set-cookie', languageCookie(language));
      await guarded(page, call, async () => {
        const body = await page.show(call);
        if (!res.headersSent) send(page, call, [noticeOf(req, call.view.t), body]);
      });
    });
    if (!hasForms(page)) continue;
    router.post(page.path, people, async (req, res) => {
      const call = await enter(req, res);
      if (call === undefined) return;
      await guarded(page, call, async () => {
        const { do: name = '', ...values } = readForm(parts, req, page.path, { login: call.who.sessionId });
        const chosen = Object.hasOwn(page.actions, name) ? page.actions[name] : undefined;
        if (chosen === undefined) throw new AppError('invalid_request');
        const outcome = await chosen.run(call, chosen.fields.parse(values));
        if (outcome instanceof Html) send(page, call, outcome);
        else if (outcome !== undefined) seeOther(res, `${page.path}?notice=${outcome}`);
      });
    });
  }

  return { router, refusedPage: (req) => refused.get(req) };
}
