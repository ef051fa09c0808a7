import type { Migration } from '@countersign/database';
import { appRole } from '../roles.ts';
import { allForStaff, currentUser, restrictRequests, seesComplaint, tenantTable } from './policies.ts';

const watchers = `
  create table watchers (
    tenant_id text not null,
    complaint_id uuid not null,
    user_id text not null check (user_id <> ''),
    created_at timestamptz(3) not null,
    primary key (tenant_id, complaint_id, user_id),
    foreign key (tenant_id, complaint_id) references complaints (tenant_id, id)
  )`;

export const watchersMigration: Migration = {
  name: '0008-watchers',
  statements: [
    watchers,
    ...tenantTable('watchers'),
    `grant select, insert, delete on watchers to ${appRole}`,
    restrictRequests('watchers', {
      using: allForStaff(`user_id = ${currentUser} and ${seesComplaint('watchers')}`),
    }),
    // Complainants who have an account follow what they filed.
    `alter table complaints no force row level security`,
    `alter table watchers no force row level security`,
    `insert into watchers select tenant_id, id, complainant_id, created_at from complaints`,
    `alter table watchers force row level security`,
    `alter table complaints force row level security`,
  ],
};
