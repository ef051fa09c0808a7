import type { IdentityClaims } from '@countersign/identity';

/** A user as the gateway's headers describe them. */
export type Person = Readonly<{ userId: string; role: string; tenantId: string }>;

export const tenants = {
  acme: '0197c2a0-0000-7000-8000-00000000000a',
  globex: '0197c2a0-0000-7000-8000-00000000000b',
} as const;

const person = (tenantId: string, userId: string, role: string): Person => ({ tenantId, userId, role });

/** A user with each role in acme, and an outsider: the admin of another tenant. */
export const people = {
  complainant: person(tenants.acme, '0197c2a0-0000-7000-8000-0000000000a1', 'complainant'),
  agent: person(tenants.acme, '0197c2a0-0000-7000-8000-0000000000a2', 'agent'),
  admin: person(tenants.acme, '0197c2a0-0000-7000-8000-0000000000a3', 'admin'),
  stranger: person(tenants.globex, '0197c2a0-0000-7000-8000-0000000000b2', 'admin'),
};

export const asUser = (person: Person): IdentityClaims => ({ kind: 'user', ...person });
