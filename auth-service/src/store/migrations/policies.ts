/** The value that `becomeClient` sets. Null if absent or empty, so that nothing matches. */
export const currentClient = `nullif(current_setting('app.client_id', true), '')`;

/** Rows that a role may see and change, and the state that they must have afterwards. */
export const only = (rule: string): string => `using (${rule}) with check (${rule})`;

/** `SELECT … FOR SHARE` requires the UPDATE privilege. This policy allows locking rows and refuses every change. */
export const lockOnly = (role: string, table: string, column: string, visible: string): readonly string[] => [
  `grant update (${column}) on ${table} to ${role}`,
  `create policy ${role}_lock on ${table} for update to ${role} using (${visible}) with check (false)`,
];
