import type { Mailer } from '@countersign/mail';
import { type Logger, type Rounds, startRounds } from '@countersign/service-kit';
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
import {
  asMailer,
  claimMails,
  findMailed,
  mailChannel,
  nextMailMs,
  postponeMail,
  type Recipient,
  removeMail,
  renewMails,
  spreadMail,
} from '../../store/mail/outbox.ts';
import type { QueuedMail } from '../../store/schema/mail.ts';
import type { ComplaintsDatabase } from '../../store/scope.ts';
import type { DeliveryResult } from '../delivery-result.ts';

export type MailCourierParts = Readonly<{
  db: ComplaintsDatabase;
  logger: Logger;
  mailer: Mailer;
  /** Asked when a mail is sent, so that people who left the tenant by then get none. */
  addresses: AddressBook;
  /** Base URL of the page of a complaint, without a trailing slash. Without it, mails have no link. */
  linkBase: string | undefined;
  now: () => Date;
  random?: () => number;
  /** Called for each mail that was sent, failed or was given up. */
  onResult?: (result: DeliveryResult) => void;
}>;

const batchSize = 10;
const idleMs = 30_000;
/** Renewed while this process sends; after a crash, another one takes over this soon. */
const leaseMs = 10_000;
const renewEveryMs = 3_000;

/**
 * Sends what transactions queued, at least once, until it is stopped. Any number of instances may do this at once.
 *
 * @returns Stops it. A mail under way is broken off, and sent later.
 */
export async function startMailCourier(parts: MailCourierParts): Promise<() => Promise<void>> {
  let rounds: Rounds | undefined;
  const leased = new Set<QueuedMail>();
  const stopListening = await parts.db.listen(mailChannel, () => rounds?.wake());
  rounds = startRounds({
    async round(stopped) {
      for (const mail of await claimMails(parts.db, { limit: batchSize, leaseMs })) leased.add(mail);
      try {
        for (const mail of leased) {
          await deliver(parts, mail, stopped);
          leased.delete(mail);
        }
      } finally {
        leased.clear();
      }
      return Math.min(idleMs, (await nextMailMs(parts.db)) ?? idleMs);
    },
    onError: (error) => parts.logger.error({ err: error }, 'mails cannot be read; they are tried again'),
  });
  const renewals = startRounds({
    async round() {
      if (leased.size > 0) await renewMails(parts.db, leased, leaseMs);
      return renewEveryMs;
    },
    onError: (error) => parts.logger.error({ err: error }, 'leases of mails cannot be renewed; it is tried again'),
  });
  const started = rounds;
  return async () => {
    await started.stop();
    await renewals.stop();
    await stopListening();
  };
}

async function deliver(parts: MailCourierParts, mail: QueuedMail, stopped: AbortSignal): Promise<void> {
  const { db, tenant_id } = { ...parts, ...mail };
  try {
    stopped.throwIfAborted();
    if (mail.recipient === 'all') return await spread(parts, mail);
    const isSent = await send(parts, mail, AbortSignal.any([stopped, AbortSignal.timeout(attemptTimeoutMs)]));
    await asMailer(db, tenant_id, (trx) => removeMail(trx, mail));
    if (isSent) parts.onResult?.('delivered');
  } catch (error) {
    // The process stops: the attempt says nothing about the mail server.
    if (stopped.aborted) await asMailer(db, tenant_id, (trx) => postponeMail(trx, mail, { delayMs: 0, failures: 0 }));
    else await failed(parts, mail, error);
  }
}

/** Finds the recipients of a change. Each gets a row of their own, so that one failure repeats no other mail. */
async function spread({ db }: MailCourierParts, mail: QueuedMail): Promise<void> {
  const { tenant_id, complaint_id, actor_id } = mail;
  await asMailer(db, tenant_id, async (trx) => {
    const complaint = await findMailed(trx, complaint_id);
    if (complaint === undefined) return removeMail(trx, mail);
    const members = membersToMail(complaint, await listWatchers(trx, complaint_id), actor_id ?? '');
    const recipients: Recipient[] = members.map((user_id) => ({ recipient: 'member', user_id }));
    if (reporterAddress(complaint) !== undefined) recipients.push({ recipient: 'reporter', user_id: null });
    await spreadMail(trx, mail, recipients);
  });
}

/** Sends one mail, unless its recipient may not or does not want to get it any more. @returns Whether it was sent. */
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

async function failed(parts: MailCourierParts, mail: QueuedMail, error: unknown): Promise<void> {
  const { db, logger, now, random = Math.random, onResult } = parts;
  const { tenant_id, complaint_id, kind, attempts } = mail;
  // Without the message: mail servers repeat the address in it.
  const { name, code } = error as NodeJS.ErrnoException;
  const facts = { tenant_id, complaint_id, mail: kind, attempts: attempts + 1, error: code ?? name };
  if (now().getTime() - mail.queued_at.getTime() > giveUpAfterMs) {
    await asMailer(db, tenant_id, (trx) => removeMail(trx, mail));
    logger.error(facts, 'a mail was given up');
    onResult?.('given_up');
    return;
  }
  const delayMs = retryDelayMs(attempts + 1, random());
  await asMailer(db, tenant_id, (trx) => postponeMail(trx, mail, { delayMs, failures: 1 }));
  logger.warn(facts, 'a mail could not be sent; it is tried again');
  onResult?.('retried');
}
