import type { Authenticated, Caller, Matched, Unmarked } from '../exchange.ts';

/** The last step of both ways to say who asks: notes it for the log, and hands it on. */
export function asCaller(matched: Matched, caller: Caller, content: Buffer | undefined): Authenticated {
  const { record } = matched;
  record.identity = caller.kind;
  const person = caller.kind === 'service' ? caller.user : caller.kind === 'user' ? caller : undefined;
  if (person !== undefined) {
    record.userId = person.userId;
    record.tenantId = person.tenantId;
  }
  if (caller.kind === 'service' && caller.user !== undefined) record.transactionId = caller.user.id;
  const authenticated: Unmarked<Authenticated> = { ...matched, caller, content };
  return authenticated as Authenticated;
}
