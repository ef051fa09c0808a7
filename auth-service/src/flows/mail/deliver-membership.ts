import type { CallService } from '@countersign/identity';
import { z } from 'zod';
import type { Deliver } from './deliver.ts';
import { membershipFact } from './outbox-messages.ts';

/** The receiver refused the delivery. */
class NotTaken extends Error {
  readonly code: string;
  constructor(service: string, status: number) {
    super(`the ${service} answered ${status}`);
    this.name = 'NotTaken';
    this.code = String(status);
  }
}

const problem = z.object({ code: z.string() });

/**
 * Sends a member's state to the users-service and the complaint-service through the gateway. The calls carry no user, because the
 * original request is over. When one fails, both are repeated: they use the sequence to ignore duplicates and older states.
 */
export function deliverMembership(callService: CallService): Deliver {
  return async ({ payload }, signal) => {
    const { email, ...fact } = membershipFact.parse(payload);
    const post = async (path: string, json: unknown) => {
      const answer = await callService({ method: 'POST', path, json, signal });
      const body: unknown = await answer.json().catch(() => undefined);
      return { status: answer.status, ok: answer.ok, code: problem.safeParse(body).data?.code };
    };
    const users = await post('/internal/memberships', { ...fact, email });
    if (!users.ok) throw new NotTaken('users-service', users.status);
    const complaints = await post('/internal/complaints/memberships', fact);
    // A gateway without this route belongs to a deployment without a complaint-service.
    if (!complaints.ok && complaints.code !== 'no_route') throw new NotTaken('complaint-service', complaints.status);
  };
}
