import { type DeliveryResult, deliveries, startCourier } from '@countersign/database';
import type { Mailer } from '@countersign/mail';
import type { Logger } from '@countersign/process-kit';
import { type MailContent, mailText, type Told } from '../domain/mail/mail-text.ts';
import * as rules from '../domain/mail/recipients.ts';
import { personAt, type UnsubscribeTokens } from '../domain/mail/unsubscribe.ts';
import type { Words } from '../domain/mail/words.ts';
import type { AddressBook, Addressee } from '../domain/people.ts';
import { retryDelayMs } from '../domain/webhooks/retry-rules.ts';
import { findComplaint, listWatchers } from '../store/complaints/complaints.ts';
import * as store from '../store/mail.ts';
import { asUser, type ComplaintsDatabase, type Trx } from '../store/schema.ts';
import type { Comment, HistoryEntry, HistoryEvent, QueuedMail } from '../store/tables.ts';
import type { FlowParts } from './parts.ts';

type Change = Readonly<{
  kind: rules.ChangeKind | undefined;
  actorId: string;
  /** The id of the history entry or comment. */
  changeId: string;
}>;

/**
 * Queues the emails about a change, in the transaction of the change. The recipients are found later, because a
 * complainant's transaction does not see other watchers.
 */
export async function queueMail(
  trx: Trx,
  { newId }: Pick<FlowParts, 'newId'>,
  complaint: Readonly<{ tenant_id: string; id: string }>,
  { kind, actorId, changeId }: Change,
): Promise<void> {
  if (kind === undefined) return;
  const { tenant_id, id: complaint_id } = complaint;
  await store.addChange(trx, { tenant_id, id: newId(), complaint_id, kind, actor_id: actorId, changes: [changeId] });
}

/** Returns the kind of a change that causes email. A change that affects only the team does not. */
export function changeKindOf({ action, detail }: HistoryEvent): rules.ChangeKind | undefined {
  if (action === 'assigned' || action === 'unassigned') return detail.to === detail.from ? undefined : 'assigned';
  return action === 'moved' ? 'moved' : undefined;
}

type MailCourierParts = Readonly<{
  db: ComplaintsDatabase;
  logger: Logger;
  mailer: Mailer;
  /** Called when an email is sent, so that people who have left the tenant do not get it. */
  addresses: AddressBook;
  /** Base URL of complaint pages, without a trailing slash. If unset, emails have no link. */
  linkBase: string | undefined;
  tokens: UnsubscribeTokens;
  now: () => Date;
  /** How long an email waits for further changes. */
  burstMs?: number;
  /** Called for each email that was sent, failed or given up. */
  onResult?: (result: DeliveryResult) => void;
}>;

// Interrupting an email after its last byte would send it twice.
const graceMs = 5_000;

/**
 * Sends queued emails at least once, until it is stopped. @returns A function that stops it after the current email.
 */
export function startMailCourier(parts: MailCourierParts): Promise<() => Promise<void>> {
  const { db, logger, now, onResult } = parts;
  const mails = deliveries<QueuedMail>({
    rows: store.mailsOf(db),
    logger,
    what: 'an email',
    // Sends in queue order, so that emails arrive in the order of the changes.
    atOnce: 1,
    timeoutMs: rules.attemptTimeoutMs,
    deliver: (mail, signal) => (mail.actor_id === null ? send(parts, mail, signal) : spread(parts, mail)),
    retryAfterMs: ({ attempts, queued_at }) =>
      now().getTime() - queued_at.getTime() > rules.giveUpAfterMs ? undefined : retryDelayMs(attempts, Math.random()),
    parks: false,
    logFields: ({ tenant_id, complaint_id, kind }) => ({ tenant_id, complaint_id, mail: kind }),
    onResult,
  });
  return startCourier({ db, logger, channel: store.mailChannel, graceMs, work: [mails] });
}

/** Finds a change's recipients. Each has a separate row, so that a failure does not repeat the other emails. */
async function spread({ db, burstMs = rules.burstMs }: MailCourierParts, mail: QueuedMail): Promise<false> {
  const { tenant_id, complaint_id, actor_id, kind } = mail;
  if (complaint_id === null || actor_id === null) return false;
  await store.asMailer(db, tenant_id, async (trx) => {
    const complaint = await store.findMailed(trx, complaint_id);
    if (complaint === undefined) return;
    const change = { kind: kind as rules.ChangeKind, actorId: actor_id };
    const watchers = await listWatchers(trx, complaint_id);
    const team = await store.listTeamStaff(trx, tenant_id, complaint.team_id);
    const recipients = rules.recipientsOf(change, complaint, { watchers, team });
    await store.spreadChange(trx, mail, { recipients, burstMs });
  });
  return false;
}

type Prepared = Readonly<{ to: string; person: string; content: MailContent }>;

/** Sends an email if its recipient can still see the complaint and wants email. @returns Whether it was sent. */
async function send(parts: MailCourierParts, mail: QueuedMail, signal: AbortSignal): Promise<boolean> {
  const { tenant_id: tenantId, id } = mail;
  const kind = mail.kind as rules.MailKind;
  const personal = { ...mail, kind };
  const prepared =
    mail.user_id === null ? await forAddress(parts, personal) : await forMember(parts, personal, mail.user_id, signal);
  if (prepared === undefined) return false;
  const { to, person, content } = prepared;
  const link = mail.complaint_id === null ? undefined : linkTo(parts, mail.complaint_id);
  const unsubscribe =
    parts.linkBase === undefined
      ? undefined
      : new URL(`${unsubscribePath}?token=${parts.tokens.sign({ tenantId, person, kind })}`, parts.linkBase).href;
  await parts.mailer.send({ ...mailText(content), id, kind, to, link, unsubscribe }, signal);
  return true;
}

/** Accepts the POST of an email program without a session (RFC 8058). */
export const unsubscribePath = '/v1/mail/unsubscribe';

const linkTo = ({ linkBase }: MailCourierParts, id: string) =>
  linkBase === undefined ? undefined : `${linkBase}/${id}`;

type PersonalMail = QueuedMail & Readonly<{ kind: rules.MailKind }>;

/** For a person without an account. The address is not confirmed, so the email has only the number and a link. */
async function forAddress(parts: MailCourierParts, mail: PersonalMail): Promise<Prepared | undefined> {
  const { tenant_id, complaint_id, kind } = mail;
  return store.asMailer(parts.db, tenant_id, async (trx) => {
    const complaint = complaint_id === null ? undefined : await store.findMailed(trx, complaint_id);
    const to = complaint && rules.reporterAddress(complaint);
    if (complaint === undefined || complaint_id === null || to === undefined) return undefined;
    const person = personAt(to);
    const { refused, organization = 'Countersign' } = await store.freezeMail(trx, mail, person);
    if (refused.includes(kind)) return undefined;
    const link = linkTo(parts, complaint_id);
    const content = {
      confirmed: false,
      kind,
      organization,
      locale: undefined,
      number: complaint.number,
      link,
    } as const;
    return { to, person, content };
  });
}

/** Reads the texts with the member's own access. */
async function forMember(
  parts: MailCourierParts,
  mail: PersonalMail,
  userId: string,
  signal: AbortSignal,
): Promise<Prepared | undefined> {
  const { tenant_id: tenantId, kind, complaint_id } = mail;
  const member = (await parts.addresses(tenantId, [userId], signal)).get(userId);
  if (member === undefined) return undefined;
  const {
    changes,
    refused,
    organization = 'Countersign',
  } = await store.asMailer(parts.db, tenantId, (trx) => store.freezeMail(trx, mail, userId));
  if (refused.includes(kind)) return undefined;
  const seen = await asUser(parts.db, { tenantId, userId, role: member.role }, (trx) =>
    complaint_id === null ? readNew(trx, member, changes) : readAbout(trx, member, { id: complaint_id, changes }),
  );
  // No recorded change can be seen, as after an internal note to a former agent.
  const isEmpty = (kind === 'news' || kind === 'work') && seen.changes.length === 0 && changes.length > 0;
  if (seen.complaints.length === 0 || isEmpty) return undefined;
  const ids = seen.changes.flatMap((each) => [each.actorId, ...(each.what === 'assigned' ? [each.to] : [])]);
  const people = ids.length === 0 ? [] : await parts.addresses(tenantId, [...new Set(ids)], signal);
  const names = new Map([...people].flatMap(([id, { name }]) => (name ? [[id, name] as const] : [])));
  const complaints = seen.complaints.map(({ id, number, title }) => ({ number, title, link: linkTo(parts, id) }));
  const content = { confirmed: true, kind, organization, locale: member.locale, complaints, names } as const;
  return { to: member.email, person: userId, content: { ...content, changes: seen.changes } };
}

async function readNew(trx: Trx, member: Addressee, ids: readonly string[]) {
  const found = await Promise.all(ids.map((id) => findComplaint(trx, id)));
  return {
    complaints: found.filter((each) => each && rules.mayBeMailed(each, member)).flatMap((each) => each ?? []),
    changes: [],
  };
}

async function readAbout(
  trx: Trx,
  member: Addressee,
  { id, changes }: Readonly<{ id: string; changes: readonly string[] }>,
) {
  const complaint = await findComplaint(trx, id);
  if (complaint === undefined || !rules.mayBeMailed(complaint, member)) return { complaints: [], changes: [] };
  const { history, comments } = await store.readChanges(trx, changes);
  const isReporter = complaint.complainant_id === member.id;
  // Also an agent who filed a complaint gets no internal note about it.
  const shown = [...history, ...comments.filter(({ internal }) => !(internal && isReporter))];
  const inOrder = shown.toSorted((a, b) => a.created_at.getTime() - b.created_at.getTime());
  return { complaints: [complaint], changes: inOrder.flatMap(toldOf) };
}

function toldOf(change: HistoryEntry | Comment): Told[] {
  if ('body' in change) {
    const by = { actorId: change.author_id, actorRole: change.author_role };
    return [change.internal ? { ...by, what: 'note' } : { ...by, what: 'comment', body: change.body }];
  }
  const by = { actorId: change.actor_id, actorRole: change.actor_role };
  const { action, detail } = change as HistoryEntry & HistoryEvent;
  if (action === 'moved')
    return [{ ...by, what: 'moved', to: detail.to as keyof Words['moved'], reason: detail.reason }];
  if (action !== 'assigned' && action !== 'unassigned') return [];
  return [
    action === 'unassigned' || detail.to === null
      ? { ...by, what: 'unassigned' }
      : { ...by, what: 'assigned', to: detail.to },
  ];
}
