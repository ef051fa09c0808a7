import type { ClientIdentity, UserIdentity } from '@countersign/identity';

/** The user from the signed identity. */
export type Caller = Readonly<{ userId: string; role: string }>;

/** Roles that work on complaints. Other users see only their own complaints. */
export const staffRoles = ['agent', 'admin'] as const;
/** Roles that can use this service. */
export const knownRoles = ['complainant', ...staffRoles] as const;

export function isStaff({ role }: Pick<Caller, 'role'>): boolean {
  return (staffRoles as readonly string[]).includes(role);
}

/** The scope that OAuth clients need to read complaints, also when they act for a user. */
export const readScope = 'complaints.read';

/** A user or an OAuth client. An OAuth client sees all complaints in its tenant, but no comments. */
export type Reader = UserIdentity | (ClientIdentity & Readonly<{ tenantId: string }>);

/** Whether the reader sees all complaints of the tenant. */
export function seesTenant(reader: Reader): boolean {
  return reader.kind === 'client' || isStaff(reader);
}
