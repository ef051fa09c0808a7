import { type DeliveryResult, deliveries, startCourier } from '@countersign/database';
import type { Mailer } from '@countersign/mail';
import type { Logger } from '@countersign/process-kit';
import * as domain from '../domain/mail.ts';
import type { AddressBook } from '../domain/people.ts';
import { retryDelayMs } from '../domain/webhooks/retry-rules.ts';
import { listWatchers } from '../store/complaints/complaints.ts';
import { addMail, asMailer, findMailed, mailChannel, mailsOf, type Recipient, spreadMail } from '../store/mail.ts';
import type { ComplaintsDatabase, Trx } from '../store/schema.ts';
import type { HistoryEvent, QueuedMail } from '../store/tables.ts';
import type { FlowParts } from './parts.ts';

const mailedStatuses = ['resolved', 'closed', 'rejected', 'duplicate'] as const;

/**
 * Queues the emails about a change, in the transaction of the change. The recipients are found later, because a
 * complainant's transaction does not see other watchers.
 */
export async function queueMail(
  trx: Trx,
  { newId }: Pick<FlowParts, 'newId'>,
  complaint: Readonly<{ tenant_id: string; id: string }>,
  { kind, actorId }: Readonly<{ kind: domain.MailKind | undefined; actorId: string }>,
): Promise<void> {
  if (kind === undefined) return;
  const { tenant_id, id: complaint_id } = complaint;
  await addMail(trx, { tenant_id, id: newId(), complaint_id, kind, actor_id: actorId });
}

/** Returns the email about a change, if any. A change that affects only the team sends none. */
export function mailOf({ action, detail }: HistoryEvent): domain.MailKind | undefined {
  if (action === 'assigned') return detail.to === detail.from ? undefined : 'assigned';
  return action === 'moved' ? mailedStatuses.find((status) => status === detail.to) : undefined;
}

type MailCourierParts = Readonly<{
  db: ComplaintsDatabase;
  logger: Logger;
  mailer: Mailer;
  /** Called when an email is sent, so that people who have left the tenant do not get it. */
  addresses: AddressBook;
  /** Base URL of complaint pages, without a trailing slash. If unset, emails have no link. */
  linkBase: string | undefined;
  now: () => Date;
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
    rows: mailsOf(db),
    logger,
    what: 'an email',
    // Sends in queue order, so that emails arrive in the order of the changes.
    atOnce: 1,
    timeoutMs: domain.attemptTimeoutMs,
    deliver: (mail, signal) => (mail.recipient === 'all' ? spread(parts, mail) : send(parts, mail, signal)),
    retryAfterMs: ({ attempts, queued_at }) =>
      now().getTime() - queued_at.getTime() > domain.giveUpAfterMs ? undefined : retryDelayMs(attempts, Math.random()),
    parks: false,
    logFields: ({ tenant_id, complaint_id, kind }) => ({ tenant_id, complaint_id, mail: kind }),
    onResult,
  });
  return startCourier({ db, logger, channel: mailChannel, graceMs, work: [mails] });
}

/** Finds a change's recipients. Each has a separate row, so that a failure does not repeat the other emails. */
async function spread({ db }: MailCourierParts, mail: QueuedMail): Promise<false> {
  const { tenant_id, complaint_id, actor_id } = mail;
  await asMailer(db, tenant_id, async (trx) => {
    const complaint = await findMailed(trx, complaint_id);
    if (complaint === undefined) return;
    const members = domain.membersToMail(complaint, await listWatchers(trx, complaint_id), actor_id ?? '');
    const recipients: Recipient[] = members.map((user_id) => ({ recipient: 'member', user_id }));
    if (domain.reporterAddress(complaint) !== undefined) recipients.push({ recipient: 'reporter', user_id: null });
    await spreadMail(trx, mail, recipients);
  });
  return false;
}

/** Sends an email if its recipient can still see the complaint and wants email. @returns Whether it was sent. */
async function send(parts: MailCourierParts, mail: QueuedMail, signal: AbortSignal): Promise<boolean> {
  const { tenant_id, complaint_id: id, kind, user_id } = mail;
  const complaint = await asMailer(parts.db, tenant_id, (trx) => findMailed(trx, id));
  if (complaint === undefined) return false;
  const member = user_id === null ? undefined : await parts.addresses(tenant_id, user_id, signal);
  const isAllowed = member !== undefined && domain.mayBeMailed(complaint, member);
  const to = user_id === null ? domain.reporterAddress(complaint) : isAllowed ? member.email : undefined;
  if (to === undefined) return false;
  const link = user_id === null || parts.linkBase === undefined ? undefined : `${parts.linkBase}/${id}`;
  await parts.mailer.send({ ...domain.mailText({ kind, title: complaint.title, id, link }), kind, to, link }, signal);
  return true;
}
