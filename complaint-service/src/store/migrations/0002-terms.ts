import type { Migration } from '@countersign/database';
import { appRole } from '../roles.ts';
import { tenantTable } from './policies.ts';

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

export const termsMigration: Migration = {
  name: '0002-terms',
  statements: [
    terms,
    `create index terms_by_complaint on terms (tenant_id, complaint_id, term)`,
    ...tenantTable('terms'),
    `grant select, insert, delete on terms to ${appRole}`,
  ],
};
