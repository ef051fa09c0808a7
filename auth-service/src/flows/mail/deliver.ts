import { randomBytes } from 'node:crypto';
import { deliveries, remove, rowsWith, startCourier as start } from '@countersign/database';
import type { CallService } from '@countersign/identity';
import type { Mailer } from '@countersign/mail';
import type { Logger } from '@countersign/process-kit';
import { v7 as uuidv7 } from 'uuid';
import { z } from 'zod';
import {
  type RegistrationMode,
  resetLifetimeSec,
  verificationLifetimeSec,
} from '../../domain/accounts/account-rules.ts';
import { linkPages, type MailContent, mailText } from '../../domain/mail/mail-messages.ts';
import { findAccount, findWaiting } from '../../store/accounts/accounts.ts';
import { type MailedTokenSubject, saveMailedToken } from '../../store/mail/mailed-tokens.ts';
import { addToOutbox, type Delivery, outboxChannel, outboxOf } from '../../store/mail/outbox.ts';
import type { OutboxTopic } from '../../store/schema.ts';
import { findOpenInvitation, isInvited } from '../../store/tenants/invitations.ts';
import { findTenantName } from '../../store/tenants/tenants.ts';
import { type AuthDatabase, roles, type Trx } from '../../store/transaction.ts';
import { recordForPerson } from '../audit/record.ts';

/** A queued email. It names the person but has no token: tokens are created when the email is built. */
export const mailOrder = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('registration'), registrationId: z.string(), requestId: z.string() }),
  z.object({ kind: z.literal('verification_again'), email: z.string(), requestId: z.string() }),
  z.object({ kind: z.literal('password_reset'), email: z.string(), requestId: z.string() }),
  z.object({ kind: z.literal('password_changed'), email: z.string(), requestId: z.string() }),
  z.object({
    kind: z.literal('factor_changed'),
    email: z.string(),
    change: z.enum(['enabled', 'removed', 'codes_renewed']),
    requestId: z.string(),
  }),
  z.object({ kind: z.literal('invitation'), invitationId: z.string(), requestId: z.string() }),
]);

export type MailOrder = z.infer<typeof mailOrder>;

/** A member's complete state. Other services need only the newest version. */
export const membershipUpdate = z.object({
  receiver: z.enum(['users-service', 'complaint-service']).default('users-service'),
  event_id: z.string(),
  sequence: z.number(),
  tenant_id: z.string(),
  user_id: z.string(),
  email: z.string(),
  role: z.string(),
  status: z.enum(['active', 'disabled']),
  /** The name that the person gave when they joined. */
  display_name: z.string().optional(),
});

type MembershipState = Omit<z.infer<typeof membershipUpdate>, 'receiver' | 'event_id'>;

/** @param id The account or invitation of the email. Emails with different ids never wait for each other. */
export async function orderMail(trx: Trx, id: string, order: MailOrder): Promise<void> {
  await addToOutbox(trx, 'mail', `mail ${id}`, order);
}

/**
 * Call this while holding a lock on the membership, so that a member's states are queued in order. Each service has its
 * own delivery, so that one service's outage does not delay the other.
 */
export async function queueMembership(trx: Trx, state: MembershipState): Promise<void> {
  const { display_name, ...fact } = { event_id: uuidv7(), ...state };
  const member = `${fact.tenant_id} ${fact.user_id}`;
  await addToOutbox(trx, 'membership', `member ${member}`, { ...fact, display_name });
  await addToOutbox(trx, 'membership', `complaints of ${member}`, { ...fact, receiver: 'complaint-service' });
}

type MailParts = Readonly<{
  db: AuthDatabase;
  mailer: Mailer;
  /** Base URL of emailed links. Never taken from a request. */
  linkBase: string;
  registration: Readonly<{ mode: RegistrationMode }>;
}>;

type Outgoing = Readonly<{ to: string; content: MailContent }>;

// Invitation tokens are kept this long after they expire, so that the page can say that the invitation has expired.
const keptAfterExpirySec = 30 * 24 * 3600;

/** Looks up the recipient here, not during the request: response times reveal no accounts. */
export function deliverMail(parts: MailParts): Deliver {
  return async ({ payload }, signal) => {
    const order = mailOrder.parse(payload);
    const outgoing = await parts.db.transaction({ role: roles.courier }, (trx) => prepare(trx, parts, order));
    if (outgoing === undefined) return;
    const { to, content } = outgoing;
    const link = 'link' in content ? content.link : undefined;
    await parts.mailer.send({ ...mailText(content), kind: content.kind, to, link }, signal);
  };
}

/** @returns undefined if there is no recipient, or the email is no longer needed. */
async function prepare(trx: Trx, parts: MailParts, order: MailOrder): Promise<Outgoing | undefined> {
  switch (order.kind) {
    case 'registration':
      return verification(trx, parts, { id: order.registrationId });
    case 'verification_again':
      return verification(trx, parts, { email_ci: order.email });
    case 'password_reset': {
      const account = await findAccount(trx, order.email);
      if (account?.status !== 'active') return undefined;
      const subject = { purpose: 'password_reset', user_id: account.id } as const;
      const link = await newLink(trx, parts, { subject, lifetimeSec: resetLifetimeSec });
      await recordForPerson(trx, account.id, { action: 'password.reset_mailed', requestId: order.requestId });
      return { to: order.email, content: { kind: 'password_reset', link, lifetimeSec: resetLifetimeSec } };
    }
    case 'password_changed':
      return { to: order.email, content: { kind: 'password_changed' } };
    case 'factor_changed':
      return { to: order.email, content: { kind: 'factor_changed', change: order.change } };
    case 'invitation':
      return invitation(trx, parts, order.invitationId);
  }
}

async function verification(
  trx: Trx,
  parts: MailParts,
  which: Parameters<typeof findWaiting>[1],
): Promise<Outgoing | undefined> {
  const waiting = await findWaiting(trx, which);
  if (waiting === undefined) return undefined;
  const { id, email: to } = waiting;
  if ((await findAccount(trx, to)) !== undefined) {
    await remove(trx, 'registrations', { id });
    return { to, content: { kind: 'account_exists' } };
  }
  if (parts.registration.mode === 'invite' && !(await isInvited(trx, to))) {
    await remove(trx, 'registrations', { id });
    return undefined;
  }
  const lifetimeSec = verificationLifetimeSec;
  const subject = { purpose: 'email_verification', registration_id: id } as const;
  const link = await newLink(trx, parts, { subject, lifetimeSec });
  return { to, content: { kind: 'verification', link, lifetimeSec } };
}

async function invitation(trx: Trx, parts: MailParts, id: string): Promise<Outgoing | undefined> {
  const offer = await findOpenInvitation(trx, id);
  const tenantName = offer && (await findTenantName(trx, offer.tenantId));
  if (offer === undefined || tenantName === undefined) return undefined;
  const { tenantId, email: to, role, expiresInSec: lifetimeSec } = offer;
  const subject = { purpose: 'invitation', invitation_id: id, tenant_id: tenantId } as const;
  const link = await newLink(trx, parts, { subject, lifetimeSec: lifetimeSec + keptAfterExpirySec });
  return { to, content: { kind: 'invitation', link, lifetimeSec, tenantName, role } };
}

/** Creates a token and stores only its hash. */
async function newLink(
  trx: Trx,
  { linkBase }: MailParts,
  to: Readonly<{ subject: MailedTokenSubject; lifetimeSec: number }>,
): Promise<string> {
  const token = randomBytes(32).toString('base64url');
  await saveMailedToken(trx, token, to);
  return `${linkBase}${linkPages[to.subject.purpose]}?token=${token}`;
}

/** Delivers one message. Stops when `signal` aborts. @throws The error that prevented the delivery. */
export type Deliver = (delivery: Readonly<{ payload: unknown }>, signal: AbortSignal) => Promise<void>;

type CourierParts = Readonly<{
  db: AuthDatabase;
  logger: Logger;
  deliver: Readonly<Record<OutboxTopic, Deliver>>;
  timeoutMs?: number;
  onResult?: (topic: OutboxTopic, result: 'delivered' | 'retried' | 'parked') => void;
}>;

// Retried until it succeeds, and more often than email, because other services learn of members only this way.
const longestMembershipDelayMs = 30_000;

// Current deliveries can finish during shutdown. Interrupting an email after its last byte would send it twice.
const graceMs = 5_000;

/**
 * Delivers outbox messages at least once, in order for each key. A slow mail server does not delay membership updates.
 *
 * @returns A function that stops the delivery after the current messages, or after five seconds.
 */
export function startCourier(parts: CourierParts): Promise<() => Promise<void>> {
  const { db, logger, deliver, timeoutMs = deliveryTimeoutMs, onResult } = parts;
  const topic = (name: OutboxTopic, what: string, retryAfterMs: (attempts: number) => number | undefined) =>
    deliveries<Delivery>({
      rows: outboxOf(db, name),
      logger,
      what,
      atOnce: 10,
      timeoutMs,
      async deliver({ payload }, signal) {
        await deliver[name]({ payload: JSON.parse(payload) }, signal);
        return true;
      },
      retryAfterMs: ({ attempts }) => retryAfterMs(attempts),
      parks: true,
      logFields: ({ seq }) => ({ outbox_seq: seq, topic: name }),
      onResult: (result) => onResult?.(name, result === 'given_up' ? 'parked' : result),
    });
  return start({
    db,
    logger,
    channel: outboxChannel,
    graceMs,
    work: [
      topic('mail', 'an email', (attempts) => (attempts >= maxMailAttempts ? undefined : retryDelayMs(attempts))),
      topic('membership', 'a membership update', (attempts) => retryDelayMs(attempts, longestMembershipDelayMs)),
    ],
  });
}

/** Total timeout of a delivery, even if the mail server keeps sending data. */
export const deliveryTimeoutMs = 45_000;

/** An email is parked after this many failures, about two hours of retries. */
export const maxMailAttempts = 17;

const longestDelayMs = 900_000;

/** Delay after this many failures: 2, 4, 8 … seconds, up to 15 minutes. */
export function retryDelayMs(attempts: number, longestMs = longestDelayMs): number {
  return Math.min(longestMs, 1000 * 2 ** Math.min(attempts, 20));
}

const problem = z.object({ code: z.string() });

/** Sends a member's state through the gateway, without a user. Receivers ignore duplicates and older versions. */
export function deliverMembership(callService: CallService, db: AuthDatabase): Deliver {
  const tenantOf = (id: string) =>
    db.transaction({ role: roles.courier }, (trx) =>
      rowsWith(trx, 'tenants', { id }).select(['slug', 'name']).executeTakeFirst(),
    );
  return async ({ payload }, signal) => {
    const { receiver, email, display_name, ...fact } = membershipUpdate.parse(payload);
    const answer =
      receiver === 'users-service'
        ? await callService({
            method: 'POST',
            path: '/internal/memberships',
            json: { ...fact, email, display_name },
            signal,
          })
        : await callService({
            method: 'POST',
            path: '/internal/complaints/memberships',
            json: { ...fact, tenant: await tenantOf(fact.tenant_id) },
            signal,
          });
    const body: unknown = await answer.json().catch(() => undefined);
    if (answer.ok) return;
    // Without a complaint-service, the gateway does not have this route.
    if (receiver === 'complaint-service' && problem.safeParse(body).data?.code === 'no_route') return;
    throw Object.assign(new Error(`the ${receiver} answered ${answer.status}`), { code: String(answer.status) });
  };
}
