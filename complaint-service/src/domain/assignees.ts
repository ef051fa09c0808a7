import type { UserIdentity } from '@countersign/identity';

/**
 * Asks the users-service whether a user may take a complaint: the user must be an active agent of the caller's tenant.
 * The call goes over the network, so it runs before the transaction. It takes the caller's whole identity, because a
 * nested call presents `txnToken`.
 */
export type AssigneeDirectory = (caller: UserIdentity, assigneeId: string) => Promise<boolean>;
