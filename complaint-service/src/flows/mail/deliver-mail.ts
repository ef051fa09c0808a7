import { type DeliveryResult, deliveries, startCourier } from '@countersign/database';
import type { Mailer } from '@countersign/mail';
import type { Logger } from '@countersign/service-kit';
import {
  attemptTimeoutMs,
  giveUpAfterMs,
  mayBeMailed,
  membersToMail,
  reporterAddress,
} from '../../domain/mail/mail-rules.ts';
import { mailText } from '../../domain/mail/mail-text.ts';
import type { AddressBook } from '../../domain/people.ts';
import { retryDelayMs } from '../../domain/webhooks/retry-rules.ts';
import { listWatchers } from '../../store/complaints/watchers.ts';
import { asMailer, findMailed, mailChannel, mailsOf, type Recipient, spreadMail } from '../../store/mail/outbox.ts';
import type { QueuedMail } from '../../store/schema/deliveries.ts';
import type { ComplaintsDatabase } from '../../store/scope.ts';

export type MailCourierParts = Readonly<{
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
    timeoutMs: attemptTimeoutMs,
    deliver: (mail, signal) => (mail.recipient === 'all' ? spread(parts, mail) : send(parts, mail, signal)),
    retryAfterMs: ({ attempts, queued_at }) =>
      now().getTime() - queued_at.getTime() > giveUpAfterMs ? undefined : retryDelayMs(attempts, Math.random()),
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
    const members = membersToMail(complaint, await listWatchers(trx, complaint_id), actor_id ?? '');
    const recipients: Recipient[] = members.map((user_id) => ({ recipient: 'member', user_id }));
    if (reporterAddress(complaint) !== undefined) recipients.push({ recipient: 'reporter', user_id: null });
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
  const isAllowed = member !== undefined && mayBeMailed(complaint, member);
  const to = user_id === null ? reporterAddress(complaint) : isAllowed ? member.email : undefined;
  if (to === undefined) return false;
  const link = user_id === null || parts.linkBase === undefined ? undefined : `${parts.linkBase}/${id}`;
  await parts.mailer.send({ ...mailText({ kind, title: complaint.title, id, link }), kind, to, link }, signal);
  return true;
}
