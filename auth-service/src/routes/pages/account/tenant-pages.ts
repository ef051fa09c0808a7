import { type Content, type Html, html } from '@countersign/service-kit';
import type { Request } from 'express';
import { z } from 'zod';
import { invite, readInvitations, resendInvitation, withdrawInvitation } from '../../../flows/tenants/invitations.ts';
import {
  changeMember,
  endMemberSessions,
  readAddresses,
  readAuditLog,
  readMembers,
} from '../../../flows/tenants/members.ts';
import type { StoredEntry } from '../../../store/audit/audit.ts';
import { emailAddress, roleName, text } from '../../fields.ts';
import type { RouteParts } from '../../route.ts';
import { auditJson } from '../../tenants/tenants.ts';
import { field, link, submit, type View, wayOn } from '../form.ts';
import type { Texts } from '../texts-en.ts';
import { type AccountCall, type AccountPage, accountPath, action, actionForm, adminIn } from './account-router.ts';
import { button, entries, timeIn } from './own-pages.ts';

const perPage = 50;
const exportBatch = 1_000;
const personId = text(128);
const member = z.strictObject({ id: personId });
const invitation = z.strictObject({ id: z.uuid() });

const auditQuery = z.object({
  action: text(64).optional(),
  person: personId.optional(),
  before: z.coerce
    .number()
    .int()
    .positive()
    .max(2 ** 31 - 1)
    .optional(),
});

/** Reads a page's query. Ignores what no link of ours contains. */
const auditQueryOf = (req: Request) => {
  const { action: name, person, before } = auditQuery.safeParse(req.query).data ?? {};
  return { before, filter: { action: name || undefined, user_id: person || undefined } };
};

/** The pages for the administrators of a tenant. Each action checks the role again, in its flow. */
export function tenantPages(parts: RouteParts): readonly AccountPage[] {
  const { db } = parts;
  const change = (wanted: Parameters<typeof changeMember>[2]['wanted']) =>
    action(member, async (call, { id }) => {
      await changeMember(db, adminIn(call), { userId: id, wanted });
      return 'member_changed';
    });

  const members: AccountPage = {
    path: `${accountPath}/members`,
    title: (t) => t.members.title,
    forAdmins: true,
    async show(call) {
      const { view, req } = call;
      const { t } = view;
      const after = personId.safeParse(req.query.after).data;
      const { members: found, next } = await readMembers(db, adminIn(call), after);
      const names = await namesIn(
        call,
        found.map(({ userId }) => userId),
      );
      const shown = found.map(({ userId: id, email, role, status, factorSince, lastLogin }) => {
        const isActive = status === 'active';
        const facts = [
          isActive ? roleIn(t, role) : t.members.removed,
          factorSince ? t.members.hasFactor : t.members.hasNoFactor,
          lastLogin === undefined ? t.members.noLogin : [t.members.lastLogin, ' ', timeIn(view, lastLogin)],
        ];
        const act = (name: string, content: Content) => actionForm(view, members.path, name, content, { id });
        return html`<p><b>${names.of(id)}</b><br><span class="muted">${email}<br>${facts.map((fact, at) => [at > 0 && ' · ', fact])}</span></p>
<div class="row">${
          isActive
            ? [
                act('change_role', [roleSelect(t, role, t.members.roleOf(email)), button(t.members.changeRole)]),
                act('end_sessions', button(t.members.endSessions)),
                act('remove', button(t.members.remove)),
              ]
            : act('restore', button(t.members.restore))
        }${link(`${audit.path}?person=${encodeURIComponent(id)}`, t.members.audit)}</div>`;
      });
      return [
        names.notice,
        entries(shown, t.account.none),
        next && wayOn(link(`${members.path}?after=${encodeURIComponent(next)}`, t.members.more)),
      ];
    },
    actions: {
      change_role: action(member.extend({ role: roleName }), async (call, { id, role }) => {
        await changeMember(db, adminIn(call), { userId: id, wanted: { role } });
        return 'member_changed';
      }),
      remove: change({ status: 'disabled' }),
      restore: change({ status: 'active' }),
      end_sessions: action(member, async (call, { id }) => {
        await endMemberSessions(db, adminIn(call), id);
        return 'sessions_ended';
      }),
    },
  };

  const invitations: AccountPage = {
    path: `${accountPath}/invitations`,
    title: (t) => t.members.invitations,
    forAdmins: true,
    fieldOf: { already_member: 'email', already_invited: 'email' },
    async show(call) {
      const { view } = call;
      const { t } = view;
      const open = await readInvitations(db, adminIn(call), { before: undefined, limit: 100 });
      const shown = open.map(({ id, email, role, expires_at }) => {
        const act = (name: string, label: string) => actionForm(view, invitations.path, name, button(label), { id });
        return html`<p><b>${email}</b><br><span class="muted">${roleIn(t, role)} · ${t.account.until} ${timeIn(view, expires_at)}</span></p>
<div class="row">${act('resend', t.members.resend)}${act('withdraw', t.members.withdraw)}</div>`;
      });
      const form = actionForm(view, invitations.path, 'invite', [
        field(view, { name: 'email', label: t.email, type: 'email', autocomplete: 'off' }),
        roleSelect(t, view.values.role ?? 'agent', t.members.role),
        submit(t.members.invite),
      ]);
      return html`<section class="stack"><h2>${t.members.invite}</h2>${form}</section>
<section class="stack"><h2>${t.members.open}</h2>${entries(shown, t.account.none)}</section>`;
    },
    actions: {
      invite: action(z.strictObject({ email: emailAddress, role: roleName }), async (call, given) => {
        await invite(parts, adminIn(call), given);
        return 'invited';
      }),
      resend: action(invitation, async (call, { id }) => {
        await resendInvitation(parts, adminIn(call), id);
        return 'invited';
      }),
      withdraw: action(invitation, async (call, { id }) => {
        await withdrawInvitation(db, adminIn(call), id);
        return 'invitation_withdrawn';
      }),
    },
  };

  const audit: AccountPage = {
    path: `${accountPath}/audit`,
    title: (t) => t.members.audit,
    forAdmins: true,
    async show(call) {
      const { view, req } = call;
      const { t } = view;
      const query = auditQueryOf(req);
      const found = await readAuditLog(db, adminIn(call), { ...query, limit: perPage + 1 });
      const page = found.slice(0, perPage);
      const about = page.map((entry) => ({ entry, detail: JSON.parse(entry.detail) as Detail }));
      const ids = about.flatMap(({ entry, detail }) =>
        [entry.user_id, detail.by].filter((id) => typeof id === 'string'),
      );
      const names = await namesIn(call, ids);
      const shown = about.map(({ entry, detail }) => auditEntry(view, entry, detail, names.both));
      const { action: chosen = '', user_id: person = '' } = query.filter;
      const address = (path: string, more = {}) =>
        `${path}?${new URLSearchParams({ action: chosen, person, ...more })}`;
      const options = [['', t.members.everything], ...Object.entries(t.actions)].map(
        ([name, label]) => html`<option value="${name}" ${name === chosen && html`selected`}>${label}</option>`,
      );
      return html`<form method="get" action="${audit.path}" class="row"><input type="hidden" name="person" value="${person}">
<select name="action" aria-label="${t.members.filter}">${options}</select>${button(t.members.filter)}${link(address(exported.path), t.members.export)}</form>
${names.notice}${entries(shown, t.account.none)}${found.length > perPage && wayOn(link(address(audit.path, { before: String(page.at(-1)?.seq) }), t.members.older))}`;
    },
    actions: {},
  };

  /** One entry a line (NDJSON), newest first, with the page's filter. */
  const exported: AccountPage = {
    path: `${accountPath}/audit.ndjson`,
    title: (t) => t.members.audit,
    forAdmins: true,
    isHidden: true,
    async show(call) {
      const { req, res } = call;
      const { filter } = auditQueryOf(req);
      let before: number | undefined;
      do {
        const found = await readAuditLog(db, adminIn(call), { before, filter, limit: exportBatch });
        if (!res.headersSent)
          res.writeHead(200, {
            'content-type': 'application/x-ndjson',
            'content-disposition': 'attachment; filename="audit.ndjson"',
            'cache-control': 'no-store',
            'x-content-type-options': 'nosniff',
          });
        const lines = found.map((entry) => `${JSON.stringify(auditJson(entry))}\n`).join('');
        // A closed response emits neither event.
        if (!res.write(lines) && !res.closed)
          await new Promise((resume) => res.once('drain', resume).once('close', resume));
        before = found.length < exportBatch || res.closed ? undefined : found.at(-1)?.seq;
      } while (before !== undefined);
      res.end();
      return undefined;
    },
    actions: {},
  };

  /** The names of members, or their addresses. `notice` says so if names are unavailable. */
  async function namesIn(call: AccountCall, userIds: readonly string[]) {
    const { who, view } = call;
    const admin = adminIn(call);
    const ids = [...new Set(userIds)];
    const known = await parts.names.namesOf(who.tenantId, ids);
    const accounts = await readAddresses(db, admin, ids);
    const addressOf = (id: string): string => accounts.get(id)?.email ?? view.t.members.unknown;
    return {
      notice: known === undefined && html`<p class="notice warn">${view.t.errors.names_unavailable}</p>`,
      of: (id: string) => known?.get(id) ?? addressOf(id),
      // People choose their names, so a name alone does not identify anyone.
      both(id: string) {
        const name = known?.get(id);
        return name === undefined ? addressOf(id) : `${name} (${addressOf(id)})`;
      },
    };
  }

  return [members, invitations, audit, exported];
}

type Detail = Readonly<{ by?: string; ip?: string; email?: string; from?: { role: string }; to?: { role: string } }>;

function auditEntry(
  view: View,
  { at, action: name, user_id: userId }: StoredEntry,
  { by, ip, email, from, to }: Detail,
  nameOf: (id: string) => string,
): Html {
  const { t } = view;
  const facts = [
    userId !== null && nameOf(userId),
    email,
    from && to && from.role !== to.role && `${roleIn(t, from.role)} → ${roleIn(t, to.role)}`,
    by && by !== userId && t.members.by(nameOf(by)),
    ip,
  ].filter(Boolean);
  const label = Object.entries(t.actions).find(([known]) => known === name)?.[1] ?? t.members.other;
  return html`<p><b>${label}</b><br><span class="muted">${facts.join(' · ')}</span></p><span class="muted">${timeIn(view, at)}</span>`;
}

const roleIn = ({ roles }: Texts, role: string): string =>
  Object.entries(roles).find(([name]) => name === role)?.[1] ?? role;

const roleSelect = (t: Texts, chosen: string, label: string): Html =>
  html`<select name="role" aria-label="${label}">${Object.entries(t.roles).map(
    ([role, name]) => html`<option value="${role}" ${role === chosen && html`selected`}>${name}</option>`,
  )}</select>`;
