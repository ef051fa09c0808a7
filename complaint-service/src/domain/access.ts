import type { ClientIdentity, UserIdentity } from '@countersign/identity';

export type SignedUser = Readonly<{ userId: string; role: string }>;

/** Roles that work on complaints. Other users see only their own complaints. */
export const staffRoles = ['agent', 'admin'] as const;
/** Roles that can use this service. */
export const knownRoles = ['complainant', ...staffRoles] as const;

export function isStaff({ role }: Pick<SignedUser, 'role'>): boolean {
  return (staffRoles as readonly string[]).includes(role);
}

/**
 * Whether a user can read internal notes, and the attachments and events of internal notes. The row policies of
 * `comments`, `attachments` and `events` enforce this rule in SQL: `allForStaff('not internal and …')`.
 */
export const mayReadInternal = (caller: Pick<SignedUser, 'role'>): boolean => isStaff(caller);

/** The scope that OAuth clients need to read complaints, also when they act for a user. */
export const readScope = 'complaints.read';

/** A user or an OAuth client. An OAuth client sees all complaints in its tenant, but no comments. */
export type Reader = UserIdentity | (ClientIdentity & Readonly<{ tenantId: string }>);

export function seesTenant(reader: Reader): boolean {
  return reader.kind === 'client' || isStaff(reader);
}

/** An event, and whose complaint it is about. The complainant is null if they have no account. */
type EventAccess = Readonly<{ internal: boolean; complainant_id: string | null }>;

/** Whether a user sees an event of their tenant. The row policy of `events` is the same rule in SQL. */
export function seesEvent(user: SignedUser, { internal, complainant_id }: EventAccess): boolean {
  return (!internal || mayReadInternal(user)) && (isStaff(user) || complainant_id === user.userId);
}
