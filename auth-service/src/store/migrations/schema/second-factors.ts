import { currentTenant, currentUser, rowSecurity } from '@countersign/database';
import { roles } from '../../transaction.ts';
import { only } from '../policies.ts';

const { accounts, app, self, factors, keys, operator } = roles;
const own = only(`user_id = ${currentUser}`);

export const secondFactorTables = [
  // The secret is encrypted with the master key, so that this table is not enough to compute codes.
  `create table totp (
     user_id text primary key references users,
     secret_enc bytea not null,
     kek_id text not null,
     confirmed_at timestamptz,
     last_step bigint,
     created_at timestamptz not null default clock_timestamp())`,
  `create table recovery_codes (
     hash bytea primary key check (length(hash) = 32),
     user_id text not null references users,
     created_at timestamptz not null default clock_timestamp())`,
  `create index recovery_codes_by_user on recovery_codes (user_id)`,
  ...['totp', 'recovery_codes'].flatMap(rowSecurity),

  // The role that issues tokens sees only whether there is a second factor.
  `grant select (user_id, confirmed_at) on totp to ${app}`,
  `create policy ${app}_read on totp for select to ${app} using (user_id = ${currentUser})`,

  // Checking a code stores its step or uses up a recovery code. Only the user can change anything else.
  `grant select, update (last_step) on totp to ${factors}`,
  `create policy ${factors}_own on totp to ${factors} ${own}`,
  `grant select, delete on recovery_codes to ${factors}`,
  `create policy ${factors}_own on recovery_codes to ${factors} ${own}`,
  `grant select, insert, update, delete on totp to ${self}`,
  `create policy ${self}_own on totp to ${self} ${own}`,
  `grant select, insert, delete on recovery_codes to ${self}`,
  `create policy ${self}_own on recovery_codes to ${self} ${own}`,

  // Re-encrypts the secrets with a new master key.
  `grant select (user_id, secret_enc, kek_id), update (secret_enc, kek_id) on totp to ${keys}`,
  `create policy ${keys}_rewrap on totp to ${keys} ${only('true')}`,

  `grant select (user_id), delete on totp, recovery_codes to ${operator}`,
  `create policy ${operator}_reset on totp to ${operator} using (true) with check (false)`,
  `create policy ${operator}_reset on recovery_codes to ${operator} using (true) with check (false)`,
];

/** Administrators see which members of their tenant have a second factor, and nothing else of it. */
export const secondFactorsOfMembers = [
  `grant select (user_id, confirmed_at) on totp to ${accounts}`,
  `create policy ${accounts}_members on totp for select to ${accounts} using (exists (
     select from memberships m where m.user_id = totp.user_id and m.tenant_id = ${currentTenant}))`,
];
