/** What `Scope.tenantId` and `Scope.userId` become inside a transaction; null when absent or empty, so nothing matches. */
export const currentTenant = `nullif(current_setting('app.tenant_id', true), '')`;
export const currentUser = `nullif(current_setting('app.user_id', true), '')`;
/** What `becomeClient` sets. */
export const currentClient = `nullif(current_setting('app.client_id', true), '')`;

/** Enables row security: no role sees a row without a policy, not even the table's owner. */
export const rowSecurity = (table: string): string[] => [
  `alter table ${table} enable row level security`,
  `alter table ${table} force row level security`,
];

/** `SELECT … FOR SHARE` requires the update right. This policy allows locking rows and refuses every changed row. */
export const lockOnly = (role: string, table: string, column: string, visible: string): string[] => [
  `grant update (${column}) on ${table} to ${role}`,
  `create policy ${role}_lock on ${table} for update to ${role} using (${visible}) with check (false)`,
];
