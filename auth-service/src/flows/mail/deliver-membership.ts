import type { CallService } from '@countersign/identity';
import { z } from 'zod';
import type { Deliver } from './deliver.ts';
import { membershipUpdate } from './outbox-messages.ts';

const problem = z.object({ code: z.string() });

/**
 * Sends a member's state to a service through the gateway. The request has no user identity. Receivers ignore
 * duplicates and older states by their version.
 */
export function deliverMembership(callService: CallService): Deliver {
  return async ({ payload }, signal) => {
    const { receiver, email, ...fact } = membershipUpdate.parse(payload);
    const answer =
      receiver === 'users-service'
        ? await callService({ method: 'POST', path: '/internal/memberships', json: { ...fact, email }, signal })
        : await callService({ method: 'POST', path: '/internal/complaints/memberships', json: fact, signal });
    const body: unknown = await answer.json().catch(() => undefined);
    if (answer.ok) return;
    // Without a complaint-service, the gateway does not have this route.
    if (receiver === 'complaint-service' && problem.safeParse(body).data?.code === 'no_route') return;
    throw Object.assign(new Error(`the ${receiver} answered ${answer.status}`), { code: String(answer.status) });
  };
}
