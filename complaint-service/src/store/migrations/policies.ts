import { currentUser } from '@countersign/database';
import { appRole } from '../roles.ts';

const currentRole = `nullif(current_setting('app.role', true), '')`;

/** SQL conditions on the transaction's user. Each is false or null if there is no user. */
export const isStaff = `(${currentUser} is not null and ${currentRole} in ('agent', 'admin'))`;
export const isAdmin = `(${currentUser} is not null and ${currentRole} = 'admin')`;
export const isKnown = `(${currentUser} is not null and ${currentRole} in ('complainant', 'agent', 'admin'))`;

/**
 * Agents and admins see all rows, others see rows that meet the condition. With `not internal` in the condition, this is
 * the rule `mayReadInternal` in `domain/access.ts`. With `or`, the planner would expect few rows, and would read and sort
 * whole tenants. With `case`, it expects half of the rows.
 */
export const allForStaff = (others: string) => `(case when ${isStaff} then true else ${others} end)`;

/**
 * Whether the user can see a row's complaint. The policies of `complaints` apply in the subquery, so the rule is
 * defined only once.
 */
export const seesComplaint = (table: string) =>
  allForStaff(`exists (
    select from complaints seen where seen.tenant_id = ${table}.tenant_id and seen.id = ${table}.complaint_id)`);

type Restriction = Readonly<{
  /** The rows that a request can see, change and delete. Unless `check` is given, also those it can write. */
  using: string;
  check?: string;
}>;

/** Also restricts requests by user and role. Rows must satisfy both this policy and the tenant's. */
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
