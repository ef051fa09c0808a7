import type { UserIdentity } from '@countersign/identity';

/** A member of the caller's tenant, as the users-service knows them. */
export type Member = Readonly<{ id: string; role: string; status: string }>;

/**
 * Looks up people of the caller's tenant in the users-service. The calls go over the network, so they
 * run outside transactions. They take the caller's whole identity, because a nested call presents its `txnToken`.
 */
export type PeopleDirectory = Readonly<{
  /** @throws AppError `people_unavailable` when the users-service does not answer. */
  find: (caller: UserIdentity, userId: string) => Promise<Member | undefined>;
  /** Display names by id, without people who have none; empty when the users-service does not answer. Never throws. */
  namesOf: (caller: UserIdentity, userIds: readonly string[]) => Promise<ReadonlyMap<string, string>>;
}>;

/** The id that replaces an erased person's in rows. */
export const erasedId = 'erased';

/** The actors in the history of changes that no person made. */
export const serviceActors = {
  authService: { userId: 'auth-service', role: 'service' },
  complaintService: { userId: 'complaint-service', role: 'service' },
} as const;

const reservedIds: readonly string[] = [erasedId, ...Object.values(serviceActors).map(({ userId }) => userId)];

/** Whether an id can belong to a person. Erasing a reserved id would change the rows of every erased person. */
export const isPersonId = (id: string): boolean => !reservedIds.includes(id);

/** A member with the address that mail to them goes to. */
export type Addressee = Member & Readonly<{ email: string }>;

/**
 * Finds the address of a member of a tenant. Undefined for an unknown member and for one without an address.
 *
 * @throws When the users-service has no answer.
 */
export type AddressBook = (tenantId: string, userId: string, signal: AbortSignal) => Promise<Addressee | undefined>;

export const isActive = (member: Pick<Member, 'status'> | undefined): boolean => member?.status === 'active';

/** Whether a member may take complaints: active agents only. */
export function mayTakeComplaints(member: Pick<Member, 'role' | 'status'> | undefined): boolean {
  return isActive(member) && member?.role === 'agent';
}
