import { randomBytes } from 'node:crypto';
import type { Mailer } from '@countersign/mail';
import {
  type RegistrationMode,
  resetLifetimeSec,
  verificationLifetimeSec,
} from '../../domain/accounts/account-rules.ts';
import { linkPages, type MailContent, mailText } from '../../domain/mail/mail-messages.ts';
import { findAccount } from '../../store/accounts/accounts.ts';
import { dropWaiting, findWaiting } from '../../store/accounts/registrations.ts';
import type { AuthDatabase } from '../../store/database.ts';
import { type MailedTokenSubject, saveMailedToken } from '../../store/mail/mailed-tokens.ts';
import { roles } from '../../store/roles.ts';
import type { Trx } from '../../store/scope.ts';
import { findOpenInvitation, isInvited } from '../../store/tenants/invitations.ts';
import { findTenantName } from '../../store/tenants/tenants.ts';
import { recordForPerson } from '../audit/record.ts';
import type { Deliver } from './deliver.ts';
import { type MailOrder, mailOrder } from './outbox-messages.ts';

export type MailParts = Readonly<{
  db: AuthDatabase;
  mailer: Mailer;
  /** Base URL of emailed links. Never taken from a request. */
  linkBase: string;
  registration: Readonly<{ mode: RegistrationMode }>;
}>;

type Outgoing = Readonly<{ to: string; content: MailContent }>;

// Invitation tokens are kept this long after they expire, so that the page can say that the invitation has expired.
const keptAfterExpirySec = 30 * 24 * 3600;

/**
 * Builds and sends a queued email. Looks up the recipient here and not during the request, so that response times do
 * not reveal which accounts exist.
 */
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
      return verification(trx, parts, { email: order.email });
    case 'password_reset': {
      const account = await findAccount(trx, order.email);
      if (account?.status !== 'active') return undefined;
      const subject = { purpose: 'password_reset', user_id: account.id } as const;
      const link = await newLink(trx, parts, { subject, lifetimeSec: resetLifetimeSec });
      const { requestId } = order;
      await recordForPerson(trx, account.id, { action: 'password.reset_mailed', requestId, detail: {} });
      return { to: order.email, content: { kind: 'password_reset', link, lifetimeSec: resetLifetimeSec } };
    }
    case 'password_changed':
      return { to: order.email, content: { kind: 'password_changed' } };
    case 'invitation':
      return invitation(trx, parts, order.invitationId);
  }
}

async function verification(
  trx: Trx,
  parts: MailParts,
  which: Readonly<{ id: string } | { email: string }>,
): Promise<Outgoing | undefined> {
  const waiting = await findWaiting(trx, which);
  if (waiting === undefined) return undefined;
  const { id, email: to } = waiting;
  if ((await findAccount(trx, to)) !== undefined) {
    await dropWaiting(trx, id);
    return { to, content: { kind: 'account_exists' } };
  }
  if (parts.registration.mode === 'invite' && !(await isInvited(trx, to))) {
    await dropWaiting(trx, id);
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
