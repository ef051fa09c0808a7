import { currentUser, tenantTable } from '@countersign/database';
import { appRole, eraserRole, mailerRole, membershipRole, readerRole } from '../../roles.ts';
import { allForStaff, restrictCommand, restrictRequests, seesComplaint } from '../policies.ts';

// Tokens contain the ids of people and tenants, and another issuer need not use UUIDs. Times have milliseconds, like a
// JavaScript Date. Otherwise a cursor would skip rows within the same millisecond. `active` (whether work remains) and
// `due_at` (when the next target is due) are generated, so that they are always correct.
const complaints = [
  `create table complaints (
     tenant_id text not null check (tenant_id <> ''),
     id uuid not null,
     title text not null,
     description text not null,
     category_id uuid not null,
     team_id uuid,
     status text not null check (status in
       ('open', 'assigned', 'in_progress', 'reopened', 'resolved', 'closed', 'rejected', 'duplicate', 'withdrawn')),
     priority smallint not null default 1 check (priority between 0 and 3),
     complainant_id text,
     created_by text not null,
     reporter_name text,
     reporter_email text,
     reporter_phone text,
     contact_preference text not null default 'email' check (contact_preference in ('email', 'phone', 'none')),
     latitude double precision check (latitude between -90 and 90),
     longitude double precision check (longitude between -180 and 180),
     address text,
     assignee_id text,
     duplicate_of uuid,
     clock_started_at timestamptz(3) not null,
     first_answer_due_at timestamptz(3),
     first_answered_at timestamptz(3),
     resolution_due_at timestamptz(3),
     resolved_at timestamptz(3),
     active boolean not null generated always as (status in ('open', 'assigned', 'in_progress', 'reopened')) stored,
     due_at timestamptz(3) generated always as (
       case when status in ('open', 'assigned', 'in_progress', 'reopened')
         then least(case when first_answered_at is null then first_answer_due_at end, resolution_due_at) end) stored,
     erased_at timestamptz(3),
     revision uuid not null,
     created_at timestamptz(3) not null,
     updated_at timestamptz(3) not null,
     primary key (tenant_id, id),
     foreign key (tenant_id, category_id) references categories (tenant_id, id),
     foreign key (tenant_id, team_id) references teams (tenant_id, id),
     foreign key (tenant_id, duplicate_of) references complaints (tenant_id, id),
     constraint complaints_point check ((latitude is null) = (longitude is null)),
     constraint complaints_duplicate check ((duplicate_of is null) or (status = 'duplicate')))`,
  `create index complaints_newest on complaints (tenant_id, created_at desc, id desc)`,
  ...['status', 'complainant', 'assignee', 'category', 'team'].map((by) => {
    const column = by === 'status' ? by : `${by}_id`;
    return `create index complaints_by_${by} on complaints (tenant_id, ${column}, created_at desc, id desc)`;
  }),
  `create index complaints_by_priority on complaints (tenant_id, priority desc, created_at desc, id desc)`,
  `create index complaints_by_update on complaints (tenant_id, updated_at desc, id desc)`,
  `create index complaints_by_due on complaints (tenant_id, due_at, id) where due_at is not null`,
  `create index complaints_queue on complaints (tenant_id, created_at desc, id desc) where active and assignee_id is null`,
  `create index complaints_duplicates on complaints (tenant_id, duplicate_of) where duplicate_of is not null`,
  `create index complaints_to_erase on complaints (tenant_id, updated_at) where erased_at is null and not active`,
  ...tenantTable('complaints'),
  // Complainants can access only their own complaints, and no internal comments. The database enforces this too.
  restrictRequests('complaints', { using: allForStaff(`complainant_id = ${currentUser}`) }),
  restrictCommand('complaints', 'insert', `created_by = ${currentUser}`),
  `grant select, insert, update (title, description, category_id, team_id, status, priority, latitude, longitude, address,
     contact_preference, assignee_id, duplicate_of, reporter_name, reporter_email, reporter_phone, clock_started_at,
     first_answer_due_at, first_answered_at, resolution_due_at, resolved_at, revision, updated_at)
     on complaints to ${appRole}`,
  // The tenant policy applies to every role. Policies that require a user do not apply to OAuth clients.
  `grant select on complaints to ${readerRole}`,
  // Returns the complaints of a former agent to the queue.
  `grant select, update (assignee_id, status, revision, updated_at) on complaints to ${membershipRole}`,
  // Erasing a person changes active complaints: complaints assigned to them return to the queue, and their own are
  // withdrawn.
  `grant select, delete, update (title, description, complainant_id, created_by, assignee_id, reporter_name,
     reporter_email, reporter_phone, contact_preference, latitude, longitude, address, duplicate_of, revision, erased_at,
     status, updated_at) on complaints to ${eraserRole}`,
  // Finds a complaint's title and people for emails, in one tenant at a time.
  `grant select (tenant_id, id, title, complainant_id, contact_preference, reporter_email) on complaints to ${mailerRole}`,
];

// Does not use tsvector: @@ is not leakproof, so under row-level security its GIN index is never used. Comparing text
// by bytes is leakproof, and a range of it is a prefix search.
const terms = [
  `create table terms (
     tenant_id text not null,
     term text collate "C" not null,
     complaint_id uuid not null,
     primary key (tenant_id, term, complaint_id),
     foreign key (tenant_id, complaint_id) references complaints (tenant_id, id))`,
  `create index terms_by_complaint on terms (tenant_id, complaint_id, term)`,
  // To choose between the newest complaints and a word's rows, the planner needs to know how common each word is.
  `alter table terms alter column term set statistics 2000`,
  ...tenantTable('terms'),
  restrictRequests('terms', { using: seesComplaint('terms') }),
  `grant select, insert, delete on terms to ${appRole}`,
  `grant select on terms to ${readerRole}`,
  `grant select, delete on terms to ${eraserRole}`,
];

// Lists are ordered by `seq`, because the clocks of two instances differ.
const comments = [
  `create table comments (
     seq bigint not null generated always as identity,
     tenant_id text not null,
     id uuid not null,
     complaint_id uuid not null,
     author_id text not null,
     author_role text not null,
     body text not null,
     internal boolean not null,
     created_at timestamptz(3) not null,
     primary key (tenant_id, id),
     foreign key (tenant_id, complaint_id) references complaints (tenant_id, id))`,
  `create index comments_by_complaint on comments (tenant_id, complaint_id, seq)`,
  `create index comments_by_author on comments (tenant_id, author_id)`,
  ...tenantTable('comments'),
  restrictRequests('comments', { using: allForStaff(`not internal and ${seesComplaint('comments')}`) }),
  restrictCommand('comments', 'insert', `author_id = ${currentUser}`),
  `grant select, insert on comments to ${appRole}`,
  `grant select, delete, update (author_id, body) on comments to ${eraserRole}`,
];

const history = [
  `create table history (
     seq bigint not null generated always as identity,
     tenant_id text not null,
     id uuid not null,
     complaint_id uuid not null,
     actor_id text not null,
     actor_role text not null,
     action text not null check (action in ('filed', 'edited', 'assigned', 'unassigned', 'moved')),
     detail jsonb not null,
     created_at timestamptz(3) not null,
     primary key (tenant_id, id),
     foreign key (tenant_id, complaint_id) references complaints (tenant_id, id))`,
  `create index history_by_complaint on history (tenant_id, complaint_id, seq)`,
  `create index history_by_actor on history (tenant_id, actor_id)`,
  `create index history_writes on history (tenant_id, actor_id, created_at desc) where action in ('filed', 'edited')`,
  ...tenantTable('history'),
  restrictRequests('history', { using: seesComplaint('history') }),
  restrictCommand('history', 'insert', `actor_id = ${currentUser}`),
  `grant select, insert on history to ${appRole}`,
  `grant insert on history to ${membershipRole}`,
  `grant select, insert, delete, update (actor_id, detail) on history to ${eraserRole}`,
];

// Complainants with an account automatically watch their complaints.
const watchers = [
  `create table watchers (
     tenant_id text not null,
     complaint_id uuid not null,
     user_id text not null check (user_id <> ''),
     created_at timestamptz(3) not null,
     primary key (tenant_id, complaint_id, user_id),
     foreign key (tenant_id, complaint_id) references complaints (tenant_id, id))`,
  ...tenantTable('watchers'),
  restrictRequests('watchers', { using: allForStaff(`user_id = ${currentUser} and ${seesComplaint('watchers')}`) }),
  `grant select, insert, delete on watchers to ${appRole}`,
  `grant select on watchers to ${mailerRole}`,
  `grant select, delete on watchers to ${eraserRole}`,
];

export const complaintTables = [...complaints, ...terms, ...comments, ...history, ...watchers];
