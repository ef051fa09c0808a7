import type { UserIdentity } from '@countersign/identity';

/**
 * Asks whoever knows the people of the caller's tenant whether this one may take a complaint: a member of that tenant, active,
 * and an agent. It is asked before the transaction, since it goes over the network, and with the caller's whole identity, since
 * `txnToken` is what a nested call presents.
 */
export type AssigneeDirectory = (caller: UserIdentity, assigneeId: string) => Promise<boolean>;
