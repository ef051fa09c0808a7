import type { ClientIdentity, UserIdentity } from '@countersign/identity';

/** The user of the signed identity. */
export type Caller = Readonly<{ userId: string; role: string }>;

/** Roles that work on complaints. Other users see only their own complaints. */
export const staffRoles = ['agent', 'admin'] as const;
/** Roles that may use this service. */
export const knownRoles = ['complainant', ...staffRoles] as const;

export function isStaff({ role }: Caller): boolean {
  return (staffRoles as readonly string[]).includes(role);
}

/** The scope that OAuth clients, and agents that act for a user, need to read complaints. */
export const readScope = 'complaints.read';

/** Someone who reads complaints: a user, or an OAuth client of a tenant, which sees all complaints but no comments. */
export type Reader = UserIdentity | (ClientIdentity & Readonly<{ tenantId: string }>);

/** Whether the reader sees all complaints of the tenant. */
export function seesTenant(reader: Reader): boolean {
  return reader.kind === 'client' || isStaff(reader);
}
