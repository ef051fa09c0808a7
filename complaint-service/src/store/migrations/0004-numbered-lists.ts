import type { Migration } from '@countersign/database';
import { withoutForce } from './policies.ts';

/** Numbers the rows of a list that is read forward. Existing rows keep their order. */
const numbered = (table: string): readonly string[] => [
  `alter table ${table} add column seq bigint`,
  ...withoutForce(table, [
    `update ${table} set seq = numbered.seq
       from (select tenant_id, id, row_number() over (order by created_at, id) as seq from ${table}) as numbered
       where ${table}.tenant_id = numbered.tenant_id and ${table}.id = numbered.id`,
    `alter table ${table} alter column seq set not null`,
    `alter table ${table} alter column seq add generated always as identity`,
    `select setval(pg_get_serial_sequence('${table}', 'seq'), (select coalesce(max(seq), 0) + 1 from ${table}), false)`,
  ]),
  `drop index ${table}_by_complaint`,
  `create index ${table}_by_complaint on ${table} (tenant_id, complaint_id, seq)`,
];

export const numberedListsMigration: Migration = {
  name: '0004-numbered-lists',
  statements: [...numbered('comments'), ...numbered('history')],
};
