import type { UserIdentity } from '@countersign/identity';

/** A member of the caller's tenant, as known to the users-service. */
export type Member = Readonly<{ id: string; role: string; status: string }>;

/**
 * Looks up people of the caller's tenant in the users-service. The calls use the network, so they run outside
 * transactions. They take the caller's complete identity, because a nested call sends its `txnToken`.
 */
export type PeopleDirectory = Readonly<{
  /** @throws AppError `people_unavailable` if the users-service does not respond. */
  find: (caller: UserIdentity, userId: string) => Promise<Member | undefined>;
  /** Display names by id, without people who have none. Empty if the users-service does not respond. Never throws. */
  namesOf: (caller: UserIdentity, userIds: readonly string[]) => Promise<ReadonlyMap<string, string>>;
}>;

/** The id that replaces an erased person's id in rows. */
export const erasedId = 'erased';

/** The actor of changes in the history that no person made. */
export const serviceActors = {
  authService: { userId: 'auth-service', role: 'service' },
  complaintService: { userId: 'complaint-service', role: 'service' },
} as const;

const reservedIds: readonly string[] = [erasedId, ...Object.values(serviceActors).map(({ userId }) => userId)];

/** Whether an id can belong to a person. Erasing a reserved id would change the rows of every erased person. */
export const isPersonId = (id: string): boolean => !reservedIds.includes(id);

/** A member, with the email address for notifications. */
export type Addressee = Member & Readonly<{ email: string }>;

/**
 * Finds the address of a member of a tenant. Undefined if the member is unknown or has no address.
 *
 * @throws If the users-service does not respond.
 */
export type AddressBook = (tenantId: string, userId: string, signal: AbortSignal) => Promise<Addressee | undefined>;

export const isActive = (member: Pick<Member, 'status'> | undefined): boolean => member?.status === 'active';

/** Whether a member may be assigned complaints: active agents only. */
export function mayTakeComplaints(member: Pick<Member, 'role' | 'status'> | undefined): boolean {
  return isActive(member) && member?.role === 'agent';
}
