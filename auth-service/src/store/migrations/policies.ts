/** The client id that `becomeOAuthClient` sets. Null if unset or empty, so that nothing matches. */
export const currentClient = `nullif(current_setting('app.client_id', true), '')`;

/** Limits the rows that a role can see and change, both before and after the change. */
export const only = (rule: string): string => `using (${rule}) with check (${rule})`;

/** `SELECT … FOR SHARE` requires the UPDATE privilege. This policy allows locks but refuses every change. */
export const lockOnly = (role: string, table: string, column: string, visible: string): readonly string[] => [
  `grant update (${column}) on ${table} to ${role}`,
  `create policy ${role}_lock on ${table} for update to ${role} using (${visible}) with check (false)`,
];
