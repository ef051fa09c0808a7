/**
 * SQL expressions for policies: the transaction's tenant and user ({@link Scope}). Each is null if unset or empty, so
 * that it matches no row.
 */
export const currentTenant = `nullif(current_setting('app.tenant_id', true), '')`;
export const currentUser = `nullif(current_setting('app.user_id', true), '')`;

/** Returns statements that hide all rows of a table without a policy from every role, even its owner. */
export const rowSecurity = (table: string): readonly string[] => [
  `alter table ${table} enable row level security`,
  `alter table ${table} force row level security`,
];

/** Returns statements that restrict every role, even the owner, to the rows of the transaction's tenant. */
export const tenantTable = (table: string): readonly string[] => [
  ...rowSecurity(table),
  `create policy tenant on ${table}
     using (tenant_id = ${currentTenant})
     with check (tenant_id = ${currentTenant})`,
];
