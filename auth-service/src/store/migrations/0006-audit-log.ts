import type { Migration } from '@countersign/database';
import { roles } from '../roles.ts';
import { currentTenant, rowSecurity } from './policies.ts';

const writers = [roles.app, roles.self];

export const auditLogMigration: Migration = {
  name: '0006-audit-log',
  statements: [
    `create table audit_log (
       tenant_id text not null,
       seq integer not null,
       at timestamptz not null,
       action text not null,
       user_id text,
       session_id text,
       request_id text not null,
       detail text not null,
       prev_hash bytea not null,
       hash bytea not null,
       primary key (tenant_id, seq))`,
    ...rowSecurity('audit_log'),
    // No role may update or delete; writers read the head of the chain.
    ...writers.flatMap((role) => [
      `grant select, insert on audit_log to ${role}`,
      `create policy ${role}_read on audit_log for select to ${role} using (tenant_id = ${currentTenant})`,
      `create policy ${role}_append on audit_log for insert to ${role} with check (tenant_id = ${currentTenant})`,
    ]),
  ],
};
