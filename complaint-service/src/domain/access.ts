/** Who acts, from the signed identity. */
export type Caller = Readonly<{ userId: string; role: string }>;
/** Whose complaints of the tenant a query may touch. Every query takes one, so that none can forget it. */
export type Reach = Readonly<{ kind: 'tenant' } | { kind: 'own'; complainantId: string }>;
/** Which comments a query may return: all, or those that are not internal. */
export type CommentReach = 'all' | 'public';

/** Roles that work on complaints. Everybody else is a complainant, and sees their own. */
export const staffRoles = ['agent', 'admin'] as const;
/** Roles that have any business here. */
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
