/** The user of the signed identity. */
export type Caller = Readonly<{ userId: string; role: string }>;

/** Roles that work on complaints. All other users see only their own complaints. */
export const staffRoles = ['agent', 'admin'] as const;
/** Roles that may use this service. */
export const knownRoles = ['complainant', ...staffRoles] as const;

export function isStaff({ role }: Caller): boolean {
  return (staffRoles as readonly string[]).includes(role);
}
