import type { Migration } from '@countersign/database';
import { appRole } from '../roles.ts';
import { rebuildStatistics } from '../statistics/rebuild.ts';
import { isKnown, restrictRequests, tenantTable, withoutForce } from './policies.ts';

// How many complaints a tenant has, by category and status.
const byStatus = `
  create table statistics_by_status (
    tenant_id text not null check (tenant_id <> ''),
    category_id uuid not null,
    status text not null,
    complaints bigint not null,
    primary key (tenant_id, category_id, status)
  )`;

// How many active complaints were filed on each day (UTC). Their age follows from it at any time.
const byAge = `
  create table statistics_by_age (
    tenant_id text not null check (tenant_id <> ''),
    filed_on date not null,
    complaints bigint not null,
    primary key (tenant_id, filed_on)
  )`;

// Times to the first answer and to the resolution, by the month (UTC) in which they ended.
const times = `
  create table statistics_times (
    tenant_id text not null check (tenant_id <> ''),
    month date not null,
    measure text not null check (measure in ('first_answer', 'resolution')),
    category_id uuid not null,
    bucket smallint not null,
    complaints bigint not null,
    seconds bigint not null,
    with_target bigint not null,
    on_time bigint not null,
    primary key (tenant_id, month, measure, category_id, bucket)
  )`;

const tables = ['statistics_by_status', 'statistics_by_age', 'statistics_times'];
const unforced = [...tables, 'complaints'].reduce<readonly string[]>(
  (statements, table) => withoutForce(table, statements),
  rebuildStatistics,
);

export const statisticsMigration: Migration = {
  name: '0009-statistics',
  statements: [
    byStatus,
    byAge,
    times,
    ...tables.flatMap((table) => [
      ...tenantTable(table),
      // Complainants change these counts by filing. The service shows them to agents and admins.
      restrictRequests(table, { using: isKnown }),
    ]),
    `grant select, insert, update (complaints) on statistics_by_status to ${appRole}`,
    `grant select, insert, update (complaints) on statistics_by_age to ${appRole}`,
    `grant select, insert, update (complaints, seconds, with_target, on_time) on statistics_times to ${appRole}`,
    ...unforced,
  ],
};
