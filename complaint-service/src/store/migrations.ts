import type { Migration } from '@countersign/database';
import { appRole } from './schema.ts';

// Ids of people and tenants come from tokens, whose issuer need not use UUIDs. Times have the milliseconds that a
// JavaScript Date has, or a cursor would skip rows within one millisecond.
const complaints = `
  create table complaints (
    tenant_id text not null check (tenant_id <> ''),
    id uuid not null,
    title text not null,
    description text not null,
    category text not null,
    status text not null check (status in ('open', 'in_progress', 'resolved', 'closed')),
    complainant_id text not null,
    assignee_id text,
    revision uuid not null,
    created_at timestamptz(3) not null,
    updated_at timestamptz(3) not null,
    primary key (tenant_id, id)
  )`;

// Not tsvector: @@ is not leakproof, so under row-level security its GIN index is never used. Comparing text in byte order
// is leakproof, and a range of it is a prefix.
const terms = `
  create table terms (
    tenant_id text not null,
    term text collate "C" not null,
    complaint_id uuid not null,
    primary key (tenant_id, term, complaint_id),
    foreign key (tenant_id, complaint_id) references complaints (tenant_id, id)
  )`;

const comments = `
  create table comments (
    tenant_id text not null,
    id uuid not null,
    complaint_id uuid not null,
    author_id text not null,
    author_role text not null,
    body text not null,
    internal boolean not null,
    created_at timestamptz(3) not null,
    primary key (tenant_id, id),
    foreign key (tenant_id, complaint_id) references complaints (tenant_id, id)
  )`;

const history = `
  create table history (
    tenant_id text not null,
    id uuid not null,
    complaint_id uuid not null,
    actor_id text not null,
    actor_role text not null,
    action text not null check (action in ('filed', 'edited', 'assigned', 'moved')),
    detail jsonb not null,
    created_at timestamptz(3) not null,
    primary key (tenant_id, id),
    foreign key (tenant_id, complaint_id) references complaints (tenant_id, id)
  )`;

const tenantTable = (table: string): readonly string[] => [
  `alter table ${table} enable row level security`,
  `alter table ${table} force row level security`,
  `create policy tenant on ${table}
     using (tenant_id = nullif(current_setting('app.tenant_id', true), ''))
     with check (tenant_id = nullif(current_setting('app.tenant_id', true), ''))`,
];

/** Numbers the rows of a list that is read forward. Existing rows keep their order. */
const numbered = (table: string): readonly string[] => [
  `alter table ${table} add column seq bigint`,
  // Row-level security applies to the owner too. Without FORCE, it sees all rows in this transaction.
  `alter table ${table} no force row level security`,
  `update ${table} set seq = numbered.seq
     from (select tenant_id, id, row_number() over (order by created_at, id) as seq from ${table}) as numbered
     where ${table}.tenant_id = numbered.tenant_id and ${table}.id = numbered.id`,
  `alter table ${table} alter column seq set not null`,
  `alter table ${table} alter column seq add generated always as identity`,
  `select setval(pg_get_serial_sequence('${table}', 'seq'), (select coalesce(max(seq), 0) + 1 from ${table}), false)`,
  `alter table ${table} force row level security`,
  `drop index ${table}_by_complaint`,
  `create index ${table}_by_complaint on ${table} (tenant_id, complaint_id, seq)`,
];

export const migrations: readonly Migration[] = [
  {
    name: '0001-complaints',
    statements: [
      complaints,
      `create index complaints_newest on complaints (tenant_id, created_at desc, id desc)`,
      `create index complaints_by_status on complaints (tenant_id, status, created_at desc, id desc)`,
      `create index complaints_by_complainant on complaints (tenant_id, complainant_id, created_at desc, id desc)`,
      ...tenantTable('complaints'),
      `grant select, insert on complaints to ${appRole}`,
      `grant update (title, description, category, status, assignee_id, revision, updated_at) on complaints to ${appRole}`,
    ],
  },
  {
    name: '0002-terms',
    statements: [
      terms,
      `create index terms_by_complaint on terms (tenant_id, complaint_id, term)`,
      ...tenantTable('terms'),
      `grant select, insert, delete on terms to ${appRole}`,
    ],
  },
  {
    name: '0003-comments-and-history',
    statements: [
      comments,
      `create index comments_by_complaint on comments (tenant_id, complaint_id, created_at, id)`,
      ...tenantTable('comments'),
      `grant select, insert on comments to ${appRole}`,
      history,
      `create index history_by_complaint on history (tenant_id, complaint_id, created_at, id)`,
      ...tenantTable('history'),
      `grant select, insert on history to ${appRole}`,
    ],
  },
  { name: '0004-numbered-lists', statements: [...numbered('comments'), ...numbered('history')] },
  {
    name: '0005-writes-of-a-user',
    statements: [
      `create index history_writes on history (tenant_id, actor_id, created_at desc)
         where action in ('filed', 'edited')`,
    ],
  },
];
