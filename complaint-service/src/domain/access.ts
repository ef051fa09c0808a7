/** The user of the signed identity. */
export type Caller = Readonly<{ userId: string; role: string }>;
/** The complaints of the tenant that a query may touch. Every query takes one, so no query can omit the restriction. */
export type Reach = Readonly<{ kind: 'tenant' } | { kind: 'own'; complainantId: string }>;
/** Which comments a query may return: all, or those that are not internal. */
export type CommentReach = 'all' | 'public';

/** Roles that work on complaints. All other users see only their own complaints. */
export const staffRoles = ['agent', 'admin'] as const;
/** Roles that may use this service. */
export const knownRoles = ['complainant', ...staffRoles] as const;

export function isStaff({ role }: Caller): boolean {
  return (staffRoles as readonly string[]).includes(role);
}

export function reachOf(caller: Caller): Reach {
  return isStaff(caller) ? { kind: 'tenant' } : { kind: 'own', complainantId: caller.userId };
}

export function commentReachOf(caller: Caller): CommentReach {
  return isStaff(caller) ? 'all' : 'public';
}
