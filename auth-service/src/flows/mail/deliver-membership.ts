import type { CallService } from '@countersign/identity';
import type { Deliver } from './deliver.ts';
import { membershipFact } from './outbox-messages.ts';

/** The receiver did not take it. */
class NotTaken extends Error {
  readonly code: string;
  constructor(status: number) {
    super(`the users-service answered ${status}`);
    this.name = 'NotTaken';
    this.code = String(status);
  }
}

/**
 * Tells the users-service of a member, through the gateway and for no user: nobody's request is being worked on any more. The
 * receiver can tell by the sequence what it knows already and what is older than that.
 */
export function deliverMembership(callService: CallService): Deliver {
  return async ({ payload }, signal) => {
    const json = membershipFact.parse(payload);
    const answer = await callService({
      method: 'POST',
      path: '/internal/memberships',
      json,
      signal,
    });
    await answer.body?.cancel();
    if (!answer.ok) throw new NotTaken(answer.status);
  };
}
