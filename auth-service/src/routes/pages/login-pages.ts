import { type Content, html } from '@countersign/service-kit';
import type { Response } from 'express';
import { z } from 'zod';
import { maxPasswordLength } from '../../domain/accounts/passwords.ts';
import {
  knownBrowserCookie,
  newPageSession,
  pageSessionCookie,
  refreshCookies,
  refreshCookiesIn,
} from '../../domain/sessions/cookies.ts';
import { AppError } from '../../errors.ts';
import { showSecondFactor } from '../../flows/second-factor/second-factor.ts';
import type { Admission } from '../../flows/sessions/admit.ts';
import { logOut } from '../../flows/sessions/end-sessions.ts';
import { chooseTenant, logIn } from '../../flows/sessions/log-in.ts';
import { identifySession, readBrowserSession } from '../../flows/sessions/refresh.ts';
import { loginToken, secondFactorCode, secretText, tenantIdField, text } from '../fields.ts';
import type { RouteParts } from '../route.ts';
import { clearCookie } from '../sessions/token-answer.ts';
import { field, form, link, type Page, type PageCall, page, submit, type View, wayOn } from './form.ts';

export const loginPath = '/login';
const tenantPath = '/login/tenant';
const secondFactorPath = '/login/second-factor';

/** The page for unknown paths. */
export const noPage = page({
  path: loginPath,
  title: (t) => t.notFound,
  fields: z.strictObject({}),
  form: ({ t }) => wayOn(link(loginPath, t.toLogIn)),
  submit: async () => {},
});

/** The page for an error that left no page of the account to show. */
export const noAccount: Page = { ...noPage, title: (t) => t.account.title };

/** Redirects the browser after a form. The URL must not come from the request. */
export const seeOther = (res: Response, path: string): void =>
  void res.status(303).set('cache-control', 'no-store').location(path).end();

/** Shows the next login step in the response to a form. */
export type ShowStep = (call: PageCall, step: Page, content: (view: View) => Content) => void;

/**
 * Continues a login: sets the refresh cookie and redirects the browser, or asks for the next step. Each step replaces
 * the page session, so that a session that an attacker planted becomes useless.
 */
export type Continue = (call: PageCall, admission: Admission, to?: ReturnTo) => Promise<void>;

/** Where a login may return to. The browser sends only the name. */
const returnPaths = { account: '/account', factor: '/account/second-factor' } as const;

export type ReturnTo = keyof typeof returnPaths;

export const returnField = z.enum(Object.keys(returnPaths) as [ReturnTo, ...ReturnTo[]]).optional();

export function loginPages(
  parts: RouteParts,
  showStep: ShowStep,
): Readonly<{ pages: readonly Page[]; proceed: Continue }> {
  const proceed: Continue = async (call, admission, to) => {
    const { req, res, caller } = call;
    const back = to && { to };
    switch (admission.kind) {
      case 'granted': {
        const { refreshToken, refreshExpiresInSec } = admission.grant;
        // The new cookie replaces the old one, so the old session would only stay open.
        for (const old of refreshCookiesIn(req.headers.cookie)) {
          const replaced = await readBrowserSession(parts, old);
          if (replaced !== undefined) await logOut(parts.db, replaced, 'this', caller.requestId);
        }
        res.append('set-cookie', refreshCookies(refreshToken, refreshExpiresInSec));
        res.append('set-cookie', knownBrowserCookie(admission.grant, parts.macKeys, Date.now()));
        res.append('set-cookie', pageSessionCookie(newPageSession()));
        return seeOther(res, to === undefined ? parts.pages.afterLogin : returnPaths[to]);
      }
      case 'choose':
        return showStep(call, tenantPage, (view) => tenantForm(view, admission, back));
      case 'mfa':
        return showStep(call, secondFactorPage, (view) => codeForm(view, admission.mfaToken, back));
    }
  };

  const loginForm = (view: View): Content => {
    const { t } = view;
    const { to } = view.values;
    return html`${form(view, { action: loginPath, ...(to && { hidden: { to } }) }, [
      field(view, { name: 'email', label: t.email, type: 'email', autocomplete: 'username' }),
      field(view, { name: 'password', label: t.password, type: 'password', autocomplete: 'current-password' }),
      submit(t.logIn),
    ])}
${wayOn(link('/forgot-password', t.forgot), parts.registration.mode !== 'off' && link('/register', t.register))}`;
  };

  const loginPage = page({
    path: loginPath,
    title: (t) => t.logIn,
    fields: z.strictObject({ email: text(254), password: secretText(maxPasswordLength), to: returnField }),
    form: loginForm,
    open: ({ req }) => ({ ...(returnField.safeParse(req.query.to).data && { to: String(req.query.to) }) }),
    fieldOf: { invalid_credentials: 'password' },
    async submit(call, { email, password, to }) {
      const { cookie } = call.req.headers;
      await proceed(call, await logIn(parts, { email, password, transport: 'cookie', cookie }, call.caller), to);
    },
  });

  // Since the origin was checked, a login that began with another transport may set this browser's cookie.
  const mayUse = () => undefined;

  const tenantPage = page({
    path: tenantPath,
    title: (t) => t.chooseTenant,
    fields: z.strictObject({ selection_token: loginToken, tenant_id: tenantIdField, to: returnField }),
    stepField: 'selection_token',
    // A selection token works only once, so the login starts over after every refusal.
    startsOver: () => true,
    form: () => undefined,
    async submit(call, { selection_token: selectionToken, tenant_id: tenantId, to }) {
      await proceed(call, await chooseTenant(parts, { selectionToken, tenantId, mayUse }, call.caller), to);
    },
  });

  const restarts: ReadonlySet<string> = new Set(['invalid_mfa_token', 'form_expired']);
  const secondFactorPage = page({
    path: secondFactorPath,
    title: (t) => t.secondFactor,
    fields: z.strictObject({ mfa_token: loginToken, code: secondFactorCode, to: returnField }),
    stepField: 'mfa_token',
    form: (view) => codeForm(view, view.values.mfa_token ?? '', view.values.to ? { to: view.values.to } : undefined),
    fieldOf: { invalid_code: 'code' },
    startsOver: (code) => restarts.has(code),
    async submit(call, { mfa_token: mfaToken, code, to }) {
      await proceed(call, await showSecondFactor(parts, { mfaToken, code: code.trim(), mayUse }, call.caller), to);
    },
  });

  const logoutPage = page({
    path: '/logout',
    title: (t) => t.logOut,
    fields: z.strictObject({}),
    form: (view) => html`<p>${view.t.logOutLead}</p>${form(view, { action: '/logout' }, submit(view.t.logOut))}`,
    instead: (code, { t }) => (code === 'form_expired' ? undefined : wayOn(link(loginPath, t.toLogIn))),
    async submit({ req, res, caller: { jkt, requestId } }) {
      const [token, another] = refreshCookiesIn(req.headers.cookie);
      if (another !== undefined) throw new AppError('two_refresh_tokens');
      const named = token === undefined ? undefined : await identifySession(parts, token, jkt);
      if (named !== undefined) await logOut(parts.db, named.owner, 'this', requestId);
      clearCookie(req, res);
      res.append('set-cookie', pageSessionCookie(newPageSession()));
      seeOther(res, `${loginPath}?notice=logged_out`);
    },
  });

  return { pages: [loginPage, tenantPage, secondFactorPage, logoutPage], proceed };
}

type TenantChoice = Extract<Admission, { kind: 'choose' }>;

function tenantForm(view: View, { selectionToken, tenants }: TenantChoice, back: object | undefined): Content {
  const options = { action: tenantPath, step: selectionToken, hidden: { selection_token: selectionToken, ...back } };
  const choices = tenants.map(
    ({ tenantId, name }) =>
      html`<button class="choice" type="submit" name="tenant_id" value="${tenantId}">${name}</button>`,
  );
  return html`<p>${view.t.chooseTenantLead}</p>${form(view, options, choices)}`;
}

function codeForm(view: View, mfaToken: string, back: object | undefined): Content {
  const { t } = view;
  return form(view, { action: secondFactorPath, step: mfaToken, hidden: { mfa_token: mfaToken, ...back } }, [
    field(view, { name: 'code', label: t.code, type: 'text', autocomplete: 'one-time-code', hint: t.codeHint }),
    submit(t.continue),
  ]);
}
