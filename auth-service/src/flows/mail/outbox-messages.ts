import { v7 as uuidv7 } from 'uuid';
import { z } from 'zod';
import { addToOutbox } from '../../store/mail/outbox.ts';
import type { Trx } from '../../store/scope.ts';

/** A queued email. It names the person but has no token: tokens are created when the email is built. */
export const mailOrder = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('registration'), registrationId: z.string(), requestId: z.string() }),
  z.object({ kind: z.literal('verification_again'), email: z.string(), requestId: z.string() }),
  z.object({ kind: z.literal('password_reset'), email: z.string(), requestId: z.string() }),
  z.object({ kind: z.literal('password_changed'), email: z.string(), requestId: z.string() }),
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
});

type MembershipState = Omit<z.infer<typeof membershipUpdate>, 'receiver' | 'event_id'>;

/** @param id The account or invitation of the email. Emails with different ids never wait for each other. */
export async function orderMail(trx: Trx, id: string, order: MailOrder): Promise<void> {
  await addToOutbox(trx, { topic: 'mail', key: `mail ${id}`, payload: order });
}

/**
 * Call this while holding a lock on the membership, so that a member's states are queued in order. Each service has its
 * own delivery, so that one service's outage does not delay the other.
 */
export async function queueMembership(trx: Trx, state: MembershipState): Promise<void> {
  const fact = { event_id: uuidv7(), ...state };
  const member = `${fact.tenant_id} ${fact.user_id}`;
  await addToOutbox(trx, { topic: 'membership', key: `member ${member}`, payload: fact });
  const payload = { ...fact, receiver: 'complaint-service' };
  await addToOutbox(trx, { topic: 'membership', key: `complaints of ${member}`, payload });
}
