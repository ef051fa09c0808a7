import { currentUser } from '@countersign/database';
import { appRole } from '../roles.ts';

const currentRole = `nullif(current_setting('app.role', true), '')`;

/** SQL conditions on the transaction's user. Each is false or null without a user. */
export const isStaff = `(${currentUser} is not null and ${currentRole} in ('agent', 'admin'))`;
export const isAdmin = `(${currentUser} is not null and ${currentRole} = 'admin')`;
export const isKnown = `(${currentUser} is not null and ${currentRole} in ('complainant', 'agent', 'admin'))`;

/**
 * All rows for agents and admins, and for others the rows that meet the condition. With `or`, the planner would expect
 * that the condition removes nearly all rows, and would read and sort whole tenants. For a `case` it expects half.
 */
export const allForStaff = (others: string) => `(case when ${isStaff} then true else ${others} end)`;

/**
 * Whether the user may see the complaint that a row belongs to. The policies of `complaints` apply in the subquery, so
 * the rule is defined once.
 */
export const seesComplaint = (table: string) =>
  allForStaff(`exists (
    select from complaints seen where seen.tenant_id = ${table}.tenant_id and seen.id = ${table}.complaint_id)`);

type Restriction = Readonly<{
  /** The rows that a request may see, change and delete, and what it may write unless `check` says otherwise. */
  using: string;
  check?: string;
}>;

/** Also restricts requests by their user and role. Rows must satisfy both this policy and that of the tenant. */
export const restrictRequests = (table: string, { using, check = using }: Restriction): string =>
  `create policy request on ${table} as restrictive to ${appRole} using (${using}) with check (${check})`;

/** Also restricts one SQL command of requests. */
export const restrictCommand = (table: string, command: 'insert' | 'update' | 'delete', rule: string): string => {
  const clause = {
    insert: `with check (${rule})`,
    update: `using (${rule}) with check (${rule})`,
    delete: `using (${rule})`,
  };
  return `create policy request_${command} on ${table} as restrictive for ${command} to ${appRole} ${clause[command]}`;
};
