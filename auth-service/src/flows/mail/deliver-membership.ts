import type { CallService } from '@countersign/identity';
import type { Deliver } from './deliver.ts';
import { membershipFact } from './outbox-messages.ts';

/** The receiver refused the delivery. */
class NotTaken extends Error {
  readonly code: string;
  constructor(status: number) {
    super(`the users-service answered ${status}`);
    this.name = 'NotTaken';
    this.code = String(status);
  }
}

/**
 * Sends a member's state to the users-service through the gateway. The call carries no user, because the original request is over.
 * The receiver uses the sequence to ignore duplicates and older states.
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
