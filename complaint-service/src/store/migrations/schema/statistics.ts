import { tenantTable } from '@countersign/database';
import { appRole, eraserRole, membershipRole } from '../../roles.ts';
import { isKnown, restrictRequests } from '../policies.ts';

/** Complaint counts, which requests keep up to date. */
export const statisticsTables = [
  `create table statistics_by_status (
     tenant_id text not null check (tenant_id <> ''),
     category_id uuid not null,
     status text not null,
     complaints bigint not null,
     primary key (tenant_id, category_id, status))`,
  // Active complaints by filing day (UTC), from which their age can be computed at any time.
  `create table statistics_by_age (
     tenant_id text not null check (tenant_id <> ''),
     filed_on date not null,
     complaints bigint not null,
     primary key (tenant_id, filed_on))`,
  // Times to the first answer and to the resolution, by the month (UTC) in which the clock stopped.
  `create table statistics_times (
     tenant_id text not null check (tenant_id <> ''),
     month date not null,
     measure text not null check (measure in ('first_answer', 'resolution')),
     category_id uuid not null,
     bucket smallint not null,
     complaints bigint not null,
     seconds bigint not null,
     with_target bigint not null,
     on_time bigint not null,
     primary key (tenant_id, month, measure, category_id, bucket))`,
  ...['statistics_by_status', 'statistics_by_age', 'statistics_times'].flatMap((table) => [
    ...tenantTable(table),
    // Complainants change these counts by filing complaints. The service shows the counts only to agents and admins.
    restrictRequests(table, { using: isKnown }),
  ]),
  `grant select, insert, update (complaints) on statistics_by_status, statistics_by_age
     to ${appRole}, ${membershipRole}, ${eraserRole}`,
  `grant select, insert, update (complaints, seconds, with_target, on_time) on statistics_times to ${appRole}`,
];
