import { tenantTable } from '@countersign/database';
import { appRole, mailerRole, membershipRole, readerRole } from '../roles.ts';
import { isAdmin, isKnown, restrictRequests } from './policies.ts';

// The name and the short name that the auth-service sends with memberships. Complaint numbers begin with the short name.
const organizations = [
  `create table organizations (
     tenant_id text primary key check (tenant_id <> ''),
     short_name text not null,
     name text not null)`,
  ...tenantTable('organizations'),
  restrictRequests('organizations', { using: isKnown, check: isAdmin }),
  `grant select, insert, update (short_name, name) on organizations to ${appRole}, ${membershipRole}`,
  `grant select on organizations to ${mailerRole}`,
];

const numberOf = (prefix: string, year: string, count: string) =>
  `${prefix} || '-' || ${year} || '-' || lpad(${count}::text, greatest(4, length(${count}::text)), '0')`;
const yearOf = (column: string) => `extract(year from ${column} at time zone 'UTC')::integer`;

// A trigger numbers complaints, so that instances of an earlier version do too. The row of the counter stays locked
// until the transaction ends, so that no number is used twice.
const numbers = [
  `create table complaint_numbers (
     tenant_id text not null check (tenant_id <> ''),
     year integer not null,
     last integer not null,
     primary key (tenant_id, year))`,
  ...tenantTable('complaint_numbers'),
  restrictRequests('complaint_numbers', { using: isKnown }),
  `grant select, insert, update (last) on complaint_numbers to ${appRole}`,
  `create function number_complaint() returns trigger language plpgsql as $$
   declare
     filed_in integer := ${yearOf('new.created_at')};
     next integer;
   begin
     if new.number is not null then return new; end if;
     insert into complaint_numbers as counted values (new.tenant_id, filed_in, 1)
       on conflict (tenant_id, year) do update set last = counted.last + 1 returning last into next;
     new.number := ${numberOf(
       `coalesce((select upper(short_name) from organizations where tenant_id = new.tenant_id), 'C')`,
       'filed_in',
       'next',
     )};
     return new;
   end $$`,
  `alter table complaints add column number text`,
  `create trigger number_complaint before insert on complaints for each row execute function number_complaint()`,
  `grant select (number) on complaints to ${mailerRole}`,
];

// Words that name a person. OAuth clients do not find complaints by them, because they see no names.
const personalTerms = [
  `alter table terms add column personal boolean not null default false`,
  `grant update (personal) on terms to ${appRole}`,
  `create policy impersonal on terms as restrictive to ${readerRole} using (not personal)`,
];

const wordsOf = (text: string, personal: boolean) =>
  `insert into terms (tenant_id, term, complaint_id, personal)
   select distinct tenant_id, left(term, 64), id, ${personal} from complaints,
     lateral regexp_split_to_table(lower(normalize(${text}, nfkc)), '[^[:alnum:]]+') as term
   where term <> '' on conflict do nothing`;

// The owner sees rows of all tenants only while row-level security is not forced.
const ofAllTenants = (statements: readonly string[]) => [
  ...['complaints', 'complaint_numbers', 'terms'].map((table) => `alter table ${table} no force row level security`),
  ...statements,
  ...['complaints', 'complaint_numbers', 'terms'].map((table) => `alter table ${table} force row level security`),
];

/** Numbers existing complaints in the order in which they were filed, and adds their words to the search. */
const existing = ofAllTenants([
  `update complaints set number = ${numberOf(`'C'`, 'counted.year', 'counted.place')}
   from (select tenant_id, id, ${yearOf('created_at')} as year, row_number() over
       (partition by tenant_id, ${yearOf('created_at')} order by created_at, id) as place from complaints) as counted
   where complaints.tenant_id = counted.tenant_id and complaints.id = counted.id`,
  `insert into complaint_numbers select tenant_id, ${yearOf('created_at')}, count(*) from complaints group by 1, 2`,
  wordsOf(`concat_ws(' ', number, address)`, false),
  wordsOf(`concat_ws(' ', reporter_name, reporter_email, reporter_phone)`, true),
]);

export const complaintNumbers = [
  ...organizations,
  ...numbers,
  ...personalTerms,
  ...existing,
  `alter table complaints alter column number set not null`,
  `alter table complaints add constraint complaints_number unique (tenant_id, number)`,
];
