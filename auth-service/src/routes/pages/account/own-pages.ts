import { type Content, Html, html, isFreshLogin } from '@countersign/service-kit';
import encodeQr from 'qr';
import { z } from 'zod';
import { maxPasswordLength } from '../../../domain/accounts/passwords.ts';
import { deviceName } from '../../../domain/sessions/device-name.ts';
import { AppError } from '../../../errors.ts';
import { changePassword } from '../../../flows/accounts/passwords.ts';
import { withdrawDelegation } from '../../../flows/clients/delegate.ts';
import * as factor from '../../../flows/second-factor/second-factor.ts';
import { logOut } from '../../../flows/sessions/end-sessions.ts';
import { logIn, switchTenant } from '../../../flows/sessions/log-in.ts';
import { findCandidate } from '../../../store/accounts/accounts.ts';
import { listOwnDelegations } from '../../../store/clients/delegations.ts';
import { listOwnSessions } from '../../../store/sessions/sessions.ts';
import { newPassword, personName, secondFactorCode, secretText, tenantIdField, text } from '../../fields.ts';
import type { RouteParts } from '../../route.ts';
import { field, link, submit, type View, wayOn } from '../form.ts';
import { languages } from '../layout.ts';
import { type Continue, returnField } from '../login-pages.ts';
import { type AccountCall, type AccountPage, accountPath, action, actionForm } from './account-router.ts';

const none = z.strictObject({});
const byId = z.strictObject({ id: z.uuid() });
const factorPath = `${accountPath}/second-factor`;

/** A list with a button for each entry. */
export const entries = (items: readonly Content[], empty: string): Html =>
  items.length === 0
    ? html`<p>${empty}</p>`
    : html`<ul class="entries">${items.map((one) => html`<li>${one}</li>`)}</ul>`;

/** A time, in the language and in UTC, because the server does not know the browser's zone. */
export const timeIn = ({ t }: View, time: Date): Html =>
  html`<time datetime="${time.toISOString()}">${time.toLocaleString(t.locale, { dateStyle: 'medium', timeStyle: 'short', timeZone: 'UTC' })} UTC</time>`;

export const button = (label: string): Html => html`<button type="submit">${label}</button>`;

/** The pages of a person's own account. */
export function ownPages(parts: RouteParts, proceed: Continue): readonly AccountPage[] {
  const { db } = parts;
  const askingOf = ({ who, caller }: AccountCall): factor.Asking => ({
    ...who,
    requestId: caller.requestId,
    ip: caller.ip,
  });

  const profile: AccountPage = {
    path: accountPath,
    title: (t) => t.account.title,
    async show({ who, view }) {
      const { t } = view;
      const known = await parts.names.namesOf(who.tenantId, [who.userId]);
      const values = { name: known?.get(who.userId) ?? '', ...view.values };
      const rename = actionForm(view, accountPath, 'rename', [
        field(
          { ...view, values },
          { name: 'name', label: t.name, type: 'text', autocomplete: 'name', hint: t.nameHint },
        ),
        submit(t.save),
      ]);
      const choices = Object.entries(languages).map(
        ([code, { language }]) =>
          html`<a class="button" href="${accountPath}?lang=${code}" lang="${code}">${language}</a> `,
      );
      return html`<p>${t.account.loggedInAs(who.email, who.slug)}</p>
<section class="stack"><h2>${t.name}</h2>${known === undefined ? html`<p class="notice warn">${t.errors.names_unavailable}</p>` : rename}</section>
<section class="stack"><h2>${t.languages}</h2><p class="row">${choices}</p></section>`;
    },
    actions: {
      rename: action(z.strictObject({ name: personName }), async ({ who }, { name }) => {
        await parts.names.rename(who.tenantId, who.userId, name);
        return 'saved';
      }),
    },
  };

  const password: AccountPage = {
    path: `${accountPath}/password`,
    title: (t) => t.password,
    fieldOf: { invalid_credentials: 'current_password' },
    show: ({ view }) =>
      html`<p>${view.t.account.passwordLead}</p>${actionForm(view, password.path, 'change', [
        passwordField(view, 'current_password', view.t.account.currentPassword, 'current-password'),
        passwordField(view, 'new_password', view.t.newPassword, 'new-password', view.t.passwordHint),
        submit(view.t.savePassword),
      ])}`,
    actions: {
      change: action(
        z.strictObject({ current_password: secretText(maxPasswordLength), new_password: newPassword }),
        async ({ who, caller }, { current_password: current, new_password: next }) => {
          await changePassword(parts, who, { current, next }, caller);
          return 'password_changed';
        },
      ),
    },
  };

  const secondFactor: AccountPage = {
    path: factorPath,
    title: (t) => t.account.secondFactor,
    fieldOf: { invalid_code: 'code' },
    async show({ who, view }) {
      const { t } = view;
      const { totp, recovery_codes_left: left } = await factor.readSecondFactor(parts, who.userId);
      const state = html`<p>${totp ? t.account.factorOn(left) : t.account.factorOff}</p>`;
      if (!isFreshLogin(who.authTimeSec, new Date()) || (totp && !who.amr.includes('otp')))
        return html`${state}<p>${t.errors.fresh_login_required}</p>${wayOn(link(`${logInAgain.path}?to=factor`, t.account.logInAgain))}`;
      if (view.problems.has('code'))
        return [confirmForm(view), actionForm(view, factorPath, 'enrol', button(t.account.startAgain))];
      if (!totp) return [state, actionForm(view, factorPath, 'enrol', submit(t.account.setUp))];
      return [
        state,
        actionForm(view, factorPath, 'renew', button(t.account.newCodes)),
        actionForm(view, factorPath, 'remove', button(t.account.removeFactor)),
      ];
    },
    actions: {
      enrol: action(none, async (call) => {
        const { secret, otpauth_uri: uri } = await factor.enrolTotp(parts, askingOf(call));
        const { t } = call.view;
        return html`<p>${t.account.scan}</p><div class="code" role="img" aria-label="${t.account.qrCode}">${new Html([encodeQr(uri, 'svg')])}</div>
<p>${t.account.orType} <code>${secret}</code></p>${confirmForm(call.view)}`;
      }),
      confirm: action(z.strictObject({ code: secondFactorCode }), async (call, { code }) =>
        recoveryCodes(call.view, await factor.confirmEnrolment(parts, askingOf(call), code.trim())),
      ),
      renew: action(none, async (call) =>
        recoveryCodes(call.view, await factor.renewRecoveryCodes(parts, askingOf(call))),
      ),
      remove: action(none, async (call) => {
        await factor.removeTotp(parts, askingOf(call));
        return 'factor_removed';
      }),
    },
  };

  const devices: AccountPage = {
    path: `${accountPath}/devices`,
    title: (t) => t.account.devices,
    async show({ who, view }) {
      const { t } = view;
      const sessions = await listOwnSessions(db, who.userId);
      const shown = sessions.map(({ id, user_agent, ip, last_used_at }) => {
        const isThis = id === who.sessionId;
        return html`<p><b>${deviceName(user_agent) ?? user_agent ?? t.account.unknownDevice}</b> ${isThis && html`<span class="pill good">${t.account.thisDevice}</span>`}<br>
<span class="muted">${ip} · ${t.account.lastUsed} ${timeIn(view, last_used_at)}</span></p>${!isThis && actionForm(view, devices.path, 'end', button(t.account.endDevice), { id })}`;
      });
      const others = sessions.length > 1 && actionForm(view, devices.path, 'end_others', button(t.account.endOthers));
      return html`<p>${t.account.devicesLead}</p>${entries(shown, t.account.none)}${others}`;
    },
    actions: {
      end: action(byId, async ({ who, caller }, { id }) => {
        const isOwn = await logOut(db, { userId: who.userId, sessionId: id }, 'this', caller.requestId);
        if (!isOwn) throw new AppError('not_found');
        return 'device_ended';
      }),
      end_others: action(none, async ({ who, caller }) => {
        await logOut(db, who, 'others', caller.requestId);
        return 'device_ended';
      }),
    },
  };

  const applications: AccountPage = {
    path: `${accountPath}/applications`,
    title: (t) => t.account.applications,
    async show({ who, view }) {
      const { t } = view;
      const shown = (await listOwnDelegations(db, who.userId)).map(
        ({ id, client_name, scopes, expires_at }) =>
          html`<p><b>${client_name}</b><br><span class="muted">${scopes.join(', ')} · ${t.account.until} ${timeIn(view, expires_at)}</span></p>${actionForm(view, applications.path, 'withdraw', button(t.account.withdraw), { id })}`,
      );
      return html`<p>${t.account.applicationsLead}</p>${entries(shown, t.account.none)}`;
    },
    actions: {
      withdraw: action(byId, async ({ who, caller }, { id }) => {
        await withdrawDelegation(db, who, id, caller.requestId);
        return 'withdrawn';
      }),
    },
  };

  const organizations: AccountPage = {
    path: `${accountPath}/organizations`,
    title: (t) => t.account.organizations,
    async show({ who, view }) {
      const { t } = view;
      const shown = (await findCandidate(db, who.email)).memberships.map(({ tenantId, name }) =>
        tenantId === who.tenantId
          ? html`<p><b>${name}</b> <span class="pill good">${t.account.current}</span></p>`
          : html`<p><b>${name}</b></p>${actionForm(view, organizations.path, 'switch', button(t.account.switchTo(name)), { tenant_id: tenantId })}`,
      );
      return html`<p>${t.account.organizationsLead}</p>${entries(shown, t.account.none)}`;
    },
    actions: {
      switch: action(z.strictObject({ tenant_id: tenantIdField }), async (call, { tenant_id: tenantId }) => {
        const admission = await switchTenant(parts, call.who, { tenantId, transport: 'cookie' }, call.caller);
        await proceed(call, admission, 'account');
        return undefined;
      }),
    },
  };

  const logInAgain: AccountPage = {
    path: `${accountPath}/log-in`,
    title: (t) => t.account.logInAgain,
    isHidden: true,
    fieldOf: { invalid_credentials: 'password' },
    show({ req, who, view }) {
      const { t } = view;
      const to = returnField.safeParse(view.values.to ?? req.query.to).data ?? 'account';
      const email = field(
        { ...view, values: { email: who.email } },
        { name: 'email', label: t.email, type: 'email', autocomplete: 'username', readonly: true },
      );
      const content = [email, passwordField(view, 'password', t.password, 'current-password'), submit(t.logIn)];
      return actionForm(view, logInAgain.path, 'log_in', content, { to });
    },
    actions: {
      log_in: action(
        z.strictObject({ password: secretText(maxPasswordLength), email: text(254).optional(), to: returnField }),
        async (call, { password: given, to }) => {
          const { email, slug: tenant } = call.who;
          const credentials = { email, password: given, tenant, cookie: call.req.headers.cookie };
          await proceed(call, await logIn(parts, { ...credentials, transport: 'cookie' }, call.caller), to);
          return undefined;
        },
      ),
    },
  };

  return [profile, password, secondFactor, devices, applications, organizations, logInAgain];
}

const passwordField = (view: View, name: string, label: string, autocomplete: string, hint?: string): Html =>
  field(view, { name, label, type: 'password', autocomplete, ...(hint !== undefined && { hint }) });

const confirmForm = (view: View): Html =>
  actionForm(view, factorPath, 'confirm', [
    field(view, {
      name: 'code',
      label: view.t.code,
      type: 'text',
      autocomplete: 'one-time-code',
      hint: view.t.account.codeHint,
    }),
    submit(view.t.account.turnOn),
  ]);

const recoveryCodes = ({ t }: View, codes: readonly string[]): Html =>
  html`<p class="notice good" role="status">${t.account.codesLead}</p><ul class="codes">${codes.map((code) => html`<li><code>${code}</code></li>`)}</ul>${wayOn(link(factorPath, t.account.codesKept))}`;
