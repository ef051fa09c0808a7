/**
 * SQL expressions for policies: the tenant and the user of the transaction ({@link Scope}). Each is null when absent
 * or empty, so that it matches no row.
 */
export const currentTenant = `nullif(current_setting('app.tenant_id', true), '')`;
export const currentUser = `nullif(current_setting('app.user_id', true), '')`;

/** Statements after which no role sees a row of a table without a policy, not even the table's owner. */
export const rowSecurity = (table: string): readonly string[] => [
  `alter table ${table} enable row level security`,
  `alter table ${table} force row level security`,
];

/** Statements that restrict every role, the owner included, to the rows of the transaction's tenant. */
export const tenantTable = (table: string): readonly string[] => [
  ...rowSecurity(table),
  `create policy tenant on ${table}
     using (tenant_id = ${currentTenant})
     with check (tenant_id = ${currentTenant})`,
];
