import { roles } from '../transaction.ts';

const unforced = ['tenants', 'users', 'memberships', 'outbox'];

/**
 * Memberships also tell the complaint-service the tenant's name and short name. Sends one membership of each existing
 * tenant again. The owner sees rows of all tenants only while row-level security is not forced.
 */
export const tenantNames = [
  `grant select (slug) on tenants to ${roles.courier}`,
  ...unforced.map((table) => `alter table ${table} no force row level security`),
  `insert into outbox (topic, ordering_key, payload)
   select distinct on (m.tenant_id) 'membership', 'complaints of ' || m.tenant_id || ' ' || m.user_id, json_build_object(
     'receiver', 'complaint-service', 'event_id', gen_random_uuid(), 'sequence', m.version, 'tenant_id', m.tenant_id,
     'user_id', m.user_id, 'email', u.email_ci, 'role', m.role, 'status', 'active')
   from memberships m join users u on u.id = m.user_id where m.status = 'active' and u.status = 'active'
   order by m.tenant_id, m.version`,
  ...unforced.map((table) => `alter table ${table} force row level security`),
];
