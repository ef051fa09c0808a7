import { type Content, type Html, html } from '@countersign/service-kit';
import type { Request } from 'express';
import { z } from 'zod';
import { canonicalEmail } from '../../domain/accounts/account-rules.ts';
import { linkPages } from '../../domain/mail/mail-messages.ts';
import { beganRegistration, clearedRegisteringCookie, registeringCookieOf } from '../../domain/sessions/cookies.ts';
import { AppError } from '../../errors.ts';
import { readReset, resetPassword } from '../../flows/accounts/passwords.ts';
import { readVerification, register, requestLink, verifyEmail } from '../../flows/accounts/register.ts';
import { logIn } from '../../flows/sessions/log-in.ts';
import { acceptInvitation, readInvitation } from '../../flows/tenants/invitations.ts';
import { emailAddress, mailedToken, newPassword, personName, text } from '../fields.ts';
import type { RouteParts } from '../route.ts';
import { field, form, link, type Page, page, submit, type View, wayOn } from './form.ts';
import { type Continue, loginPath, seeOther } from './login-pages.ts';

const requestFields = z.strictObject({ email: emailAddress });

/** The form posts the values that the page shows, so that an error page can show them again. */
const linkFields = z.strictObject({ token: mailedToken, password: newPassword, email: text(254).optional() });

const joinFields = linkFields.extend({ name: personName });

/** The pages for registration, passwords and invitations. */
export function accountPages(parts: RouteParts, proceed: Continue): readonly Page[] {
  // A name belongs to a membership, so without a tenant only an invitation asks for it.
  const joins = parts.registration.joins !== undefined;
  return [
    page({
      path: '/register',
      title: (t) => t.register,
      fields: requestFields,
      form: (view) => requestForm(view, '/register', view.t.registerLead),
      instead: (code, { t }) => (code === 'registration_off' ? wayOn(link(loginPath, t.toLogIn)) : undefined),
      open() {
        if (parts.registration.mode === 'off') throw new AppError('registration_off');
        return {};
      },
      async submit({ res, caller }, { email }) {
        await register(parts, email, caller);
        res.append('set-cookie', registeringCookieOf(canonicalEmail(email), parts.macKeys));
        seeOther(res, `/register?notice=registered`);
      },
    }),
    page({
      path: '/forgot-password',
      title: (t) => t.forgotTitle,
      fields: requestFields,
      form: (view) => requestForm(view, '/forgot-password', view.t.forgotLead),
      async submit({ res, caller }, { email }) {
        await requestLink(parts, 'password_reset', email, caller);
        seeOther(res, `/forgot-password?notice=reset_mailed`);
      },
    }),
    page({
      path: linkPages.email_verification,
      title: (t) => t.verify,
      fields: linkFields.extend({ name: joins ? personName : personName.optional() }),
      form: (view) =>
        html`<p>${view.t.verifyLead}</p>${passwordForm(view, linkPages.email_verification, view.t.createAccount, joins && nameField(view))}`,
      instead: (code, { t }) => (code === 'invalid_token' ? wayOn(link('/register', t.registerAgain)) : undefined),
      async open({ req, caller }) {
        const token = tokenIn(req);
        return { token, email: await readVerification(parts, token, caller) };
      },
      async submit(call, { token, password, name }) {
        const { req, res, caller } = call;
        const { cookie } = req.headers;
        const email = await verifyEmail(parts, { token, password, name }, caller);
        const isOwn = joins && beganRegistration(cookie, email, parts.macKeys);
        res.append('set-cookie', clearedRegisteringCookie);
        const admission = isOwn
          ? // The account exists, so a failed login must not show this form again.
            await logIn(parts, { email, password, transport: 'cookie', cookie }, caller).catch(() => undefined)
          : undefined;
        if (admission === undefined) seeOther(res, `${loginPath}?notice=account_created`);
        else await proceed(call, admission);
      },
    }),
    page({
      path: linkPages.password_reset,
      title: (t) => t.reset,
      fields: linkFields,
      form: (view) =>
        html`<p>${view.t.resetLead}</p>${passwordForm(view, linkPages.password_reset, view.t.savePassword)}`,
      instead: (code, { t }) => (code === 'invalid_token' ? wayOn(link('/forgot-password', t.newLink)) : undefined),
      async open({ req, caller }) {
        const token = tokenIn(req);
        return { token, email: await readReset(parts, token, caller) };
      },
      async submit({ res, caller }, { token, password }) {
        await resetPassword(parts, { token, password }, caller);
        seeOther(res, `${loginPath}?notice=password_reset`);
      },
    }),
    page({
      path: linkPages.invitation,
      title: (t) => t.invitation,
      fields: joinFields.extend({ tenant: text(256).optional(), account: z.literal('yes').optional() }),
      form: invitationForm,
      fieldOf: { invalid_credentials: 'password' },
      instead: (code, { t }) => {
        if (code === 'already_member') return wayOn(link(loginPath, t.toLogIn));
        if (code !== 'invalid_token' && code !== 'invitation_gone') return undefined;
        return html`<p>${t.askInviter}</p>${wayOn(link(loginPath, t.toLogIn))}`;
      },
      async open({ req, caller }) {
        const token = tokenIn(req);
        const { email, tenantName, hasAccount } = await readInvitation(parts, token, caller);
        return { token, email, tenant: tenantName, ...(hasAccount && { account: 'yes' }) };
      },
      async submit(call, { token, password, name }) {
        await proceed(call, await acceptInvitation(parts, { token, password, name, transport: 'cookie' }, call.caller));
      },
    }),
  ];
}

/** @throws AppError `invalid_token` unless the URL has exactly one token. */
function tokenIn(req: Request): string {
  const { data } = mailedToken.safeParse(req.query.token);
  if (data === undefined) throw new AppError('invalid_token');
  return data;
}

function requestForm(view: View, action: string, lead: string): Html {
  const { t } = view;
  return html`<p>${lead}</p>${form(view, { action }, [
    field(view, { name: 'email', label: t.email, type: 'email', autocomplete: 'email' }),
    submit(t.sendLink),
  ])}
${wayOn(link(loginPath, t.toLogIn))}`;
}

/** Asks for a password, or for a new one if there is no account. Password managers need the address too. */
function passwordForm(view: View, action: string, label: string, before?: Content): Content {
  const { t, values } = view;
  const shown = Object.entries(values).filter(([name]) => ['token', 'tenant', 'account'].includes(name));
  const password =
    values.account === undefined
      ? ({ label: t.newPassword, autocomplete: 'new-password', hint: t.passwordHint } as const)
      : ({ label: t.password, autocomplete: 'current-password' } as const);
  return form(view, { action, hidden: Object.fromEntries(shown) }, [
    field(view, { name: 'email', label: t.email, type: 'email', autocomplete: 'username', readonly: true }),
    before,
    field(view, { name: 'password', type: 'password', ...password }),
    submit(label),
  ]);
}

const nameField = (view: View): Html =>
  field(view, { name: 'name', label: view.t.name, type: 'text', autocomplete: 'name', hint: view.t.nameHint });

function invitationForm(view: View): Html {
  const { t, values } = view;
  return html`<p>${t.invited(values.tenant ?? '')} ${values.account === undefined ? t.invitedNew : t.invitedKnown}</p>
${passwordForm(view, linkPages.invitation, t.accept, nameField(view))}`;
}
