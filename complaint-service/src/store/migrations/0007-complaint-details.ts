import type { Migration } from '@countersign/database';
import { appRole } from '../roles.ts';
import { withoutForce } from './policies.ts';

/** A UUIDv7 (RFC 9562 section 5.7), which Postgres makes itself only since version 18. */
const uuidV7 = `(
  lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0') || '7' ||
  substr(gen_random_uuid()::text, 16, 3) || '8' || substr(replace(gen_random_uuid()::text, '-', ''), 18, 15))::uuid`;

const columns = `
  alter table complaints
    add column category_id uuid,
    add column team_id uuid,
    add column created_by text,
    add column priority smallint not null default 1 check (priority between 0 and 3),
    add column latitude double precision check (latitude between -90 and 90),
    add column longitude double precision check (longitude between -180 and 180),
    add column address text,
    add column contact_preference text not null default 'email' check (contact_preference in ('email', 'phone', 'none')),
    add column reporter_name text,
    add column reporter_email text,
    add column reporter_phone text,
    add column duplicate_of uuid,
    add column clock_started_at timestamptz(3),
    add column first_answer_due_at timestamptz(3),
    add column first_answered_at timestamptz(3),
    add column resolution_due_at timestamptz(3),
    add column resolved_at timestamptz(3),
    add constraint complaints_point check ((latitude is null) = (longitude is null)),
    drop constraint complaints_status_check,
    add constraint complaints_status_check check (status in
      ('open', 'assigned', 'in_progress', 'reopened', 'resolved', 'closed', 'rejected', 'duplicate', 'withdrawn')),
    add constraint complaints_duplicate check ((duplicate_of is null) or (status = 'duplicate')),
    alter column complainant_id drop not null`;

/** Whether work on the complaint is still to be done, and when its next target ends. Derived, so that neither can be wrong. */
const derived = `
  alter table complaints
    add column active boolean not null generated always as
      (status in ('open', 'assigned', 'in_progress', 'reopened')) stored,
    add column due_at timestamptz(3) generated always as (
      case when status in ('open', 'assigned', 'in_progress', 'reopened')
        then least(case when first_answered_at is null then first_answer_due_at end, resolution_due_at) end) stored`;

// Free-text categories that differ only in case or spaces become one. The service folds names in the same way, but for
// compatibility forms: `foldName` in domain/catalogue.
const migrateRows = [
  `insert into categories (tenant_id, id, name, name_key, revision, created_at, updated_at)
     select tenant_id, ${uuidV7}, min(category), lower(category), ${uuidV7}, min(created_at), min(created_at)
     from complaints group by tenant_id, lower(category)`,
  `update complaints set
     category_id = (select id from categories
       where categories.tenant_id = complaints.tenant_id and name_key = lower(complaints.category)),
     created_by = complainant_id,
     clock_started_at = created_at,
     status = case when status = 'open' and assignee_id is not null then 'assigned' else status end,
     first_answered_at = least(
       (select min(created_at) from comments
        where comments.tenant_id = complaints.tenant_id and complaint_id = complaints.id
          and not internal and author_role in ('agent', 'admin') and author_id <> complainant_id),
       (select min(created_at) from history
        where history.tenant_id = complaints.tenant_id and complaint_id = complaints.id
          and action = 'moved' and detail ->> 'to' = 'resolved')),
     resolved_at = (select max(created_at) from history
        where history.tenant_id = complaints.tenant_id and complaint_id = complaints.id
          and action = 'moved' and detail ->> 'to' = 'resolved')`,
];

const withoutForceOfAll = ['categories', 'comments', 'history'].reduce<readonly string[]>(
  (statements, table) => withoutForce(table, statements),
  migrateRows,
);

export const complaintDetailsMigration: Migration = {
  name: '0007-complaint-details',
  statements: [
    columns,
    ...withoutForce('complaints', withoutForceOfAll),
    `alter table complaints
       alter column category_id set not null,
       alter column created_by set not null,
       alter column clock_started_at set not null,
       drop column category,
       add foreign key (tenant_id, category_id) references categories (tenant_id, id),
       add foreign key (tenant_id, team_id) references teams (tenant_id, id),
       add foreign key (tenant_id, duplicate_of) references complaints (tenant_id, id)`,
    derived,
    `create index complaints_by_assignee on complaints (tenant_id, assignee_id, created_at desc, id desc)`,
    `create index complaints_by_category on complaints (tenant_id, category_id, created_at desc, id desc)`,
    `create index complaints_by_team on complaints (tenant_id, team_id, created_at desc, id desc)`,
    `create index complaints_by_priority on complaints (tenant_id, priority desc, created_at desc, id desc)`,
    `create index complaints_by_update on complaints (tenant_id, updated_at desc, id desc)`,
    `create index complaints_by_due on complaints (tenant_id, due_at, id) where due_at is not null`,
    `create index complaints_queue on complaints (tenant_id, created_at desc, id desc) where active and assignee_id is null`,
    `create index complaints_duplicates on complaints (tenant_id, duplicate_of) where duplicate_of is not null`,
    `grant update (category_id, team_id, priority, latitude, longitude, address, contact_preference, duplicate_of,
       reporter_name, reporter_email, reporter_phone, clock_started_at, first_answer_due_at, first_answered_at,
       resolution_due_at, resolved_at) on complaints to ${appRole}`,
    `alter table history
       drop constraint history_action_check,
       add constraint history_action_check check (action in ('filed', 'edited', 'assigned', 'unassigned', 'moved'))`,
  ],
};
