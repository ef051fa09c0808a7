import type { UserIdentity } from '@countersign/identity';

/** A member of the caller's tenant, from the users-service. */
export type Member = Readonly<{ id: string; role: string; status: string }>;

/**
 * Looks up people in the caller's tenant. The requests use the network, so they run outside transactions. They take the
 * caller's complete identity, because a nested request sends its `txnToken`.
 */
export type PeopleDirectory = Readonly<{
  /** @throws AppError `people_unavailable` if the users-service does not respond. */
  find: (caller: UserIdentity, userId: string) => Promise<Member | undefined>;
  /**
   * Reads display names by id. Never throws. A person is missing if the users-service does not respond, and null if the
   * person has no name.
   */
  namesOf: (caller: UserIdentity, userIds: readonly string[]) => Promise<Names>;
}>;

export type Names = ReadonlyMap<string, string | null>;

/** The id that replaces an erased person's id. */
export const erasedId = 'erased';

/** The actor for changes that no person made. */
export const serviceActors = {
  authService: { userId: 'auth-service', role: 'service' },
  complaintService: { userId: 'complaint-service', role: 'service' },
} as const;

const reservedIds: readonly string[] = [erasedId, ...Object.values(serviceActors).map(({ userId }) => userId)];

/** Whether an id can belong to a person. Erasing a reserved id would change every erased person's rows. */
export const isPersonId = (id: string): boolean => !reservedIds.includes(id);

export type Addressee = Member &
  Readonly<{ email: string; name?: string | null | undefined; locale?: string | null | undefined }>;

/**
 * Finds members' email addresses, names and languages. Omits unknown and disabled members, and those without an address.
 *
 * @throws Error if the users-service does not respond.
 */
export type AddressBook = (
  tenantId: string,
  userIds: readonly string[],
  signal: AbortSignal,
) => Promise<ReadonlyMap<string, Addressee>>;

export const isActive = (member: Pick<Member, 'status'> | undefined): boolean => member?.status === 'active';

/** Whether complaints can be assigned to this member: only to active agents. */
export function mayTakeComplaints(member: Pick<Member, 'role' | 'status'> | undefined): boolean {
  return isActive(member) && member?.role === 'agent';
}
