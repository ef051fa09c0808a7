import { currentTenant, rowSecurity } from '@countersign/database';
import { roles } from '../../transaction.ts';
import { only } from '../policies.ts';

const { accounts, courier, operator, upkeep } = roles;

// Before an account exists, there is only this row. The recipient of the emailed link chooses the password. Otherwise
// an attacker could register someone else's address with their own password and wait for the owner to confirm it.
const registrations = [
  `create table registrations (
     id text primary key,
     email_ci text not null,
     created_at timestamptz not null default clock_timestamp(),
     expires_at timestamptz not null)`,
  `create index registrations_by_email on registrations (email_ci)`,
  `create index registrations_by_expiry on registrations (expires_at)`,
  ...rowSecurity('registrations'),
  `grant select, insert, delete on registrations to ${accounts}`,
  `create policy ${accounts}_all on registrations to ${accounts} ${only('true')}`,
  `grant select (id, email_ci, created_at, expires_at), delete on registrations to ${courier}`,
  `create policy ${courier}_all on registrations to ${courier} using (true)`,
  `grant select, delete on registrations to ${upkeep}`,
  `create policy ${upkeep}_expired on registrations to ${upkeep} using (expires_at < clock_timestamp())`,
];

// `invited_by` is null if an operator invites a tenant's first administrator.
const invitations = [
  `create table invitations (
     id text primary key,
     tenant_id text not null references tenants,
     email_ci text not null,
     role text not null check (role ~ '^[a-z0-9_-]{1,64}$'),
     invited_by text references users,
     created_at timestamptz not null default clock_timestamp(),
     expires_at timestamptz not null,
     accepted_at timestamptz,
     accepted_by text references users,
     revoked_at timestamptz,
     check ((accepted_at is null) = (accepted_by is null)))`,
  `create unique index invitations_open on invitations (tenant_id, email_ci)
     where accepted_at is null and revoked_at is null`,
  `create index invitations_open_by_inviter on invitations (invited_by, tenant_id)
     where accepted_at is null and revoked_at is null`,
  `create index invitations_by_email on invitations (email_ci)`,
  `create index invitations_by_expiry on invitations (expires_at)`,
  ...rowSecurity('invitations'),
  `grant select, insert, update (accepted_at, accepted_by, revoked_at) on invitations to ${accounts}`,
  `create policy ${accounts}_tenant on invitations to ${accounts} ${only(`tenant_id = ${currentTenant}`)}`,
  `grant select on invitations to ${courier}`,
  `create policy ${courier}_read on invitations for select to ${courier} using (true)`,
  // Disabling an account withdraws the invitations it has sent.
  `grant select (id, tenant_id, email_ci, invited_by, accepted_at, revoked_at, expires_at), update (revoked_at)
     on invitations to ${operator}`,
  `create policy ${operator}_see on invitations for select to ${operator} using (true)`,
  `create policy ${operator}_withdraw on invitations for update to ${operator}
     using (true) with check (revoked_at is not null)`,
  // Expired invitations are kept for a while, so that the page can say that the invitation has expired.
  `grant select, delete on invitations to ${upkeep}`,
  `create policy ${upkeep}_expired on invitations to ${upkeep}
     using (expires_at < clock_timestamp() - interval '30 days')`,
];

// Tokens are created with the email and only their hash is stored, so neither this table nor the outbox has a usable
// token.
const mailedTokens = [
  `create table mailed_tokens (
     hash bytea primary key check (length(hash) = 32),
     purpose text not null check (purpose in ('email_verification', 'password_reset', 'invitation')),
     registration_id text references registrations on delete cascade,
     user_id text references users on delete cascade,
     invitation_id text references invitations on delete cascade,
     tenant_id text references tenants,
     created_at timestamptz not null default clock_timestamp(),
     expires_at timestamptz not null,
     check ((registration_id is not null) = (purpose = 'email_verification')),
     check ((user_id is not null) = (purpose = 'password_reset')),
     check ((invitation_id is not null and tenant_id is not null) = (purpose = 'invitation')))`,
  `create index mailed_tokens_by_user on mailed_tokens (user_id)`,
  `create index mailed_tokens_by_registration on mailed_tokens (registration_id)`,
  `create index mailed_tokens_by_invitation on mailed_tokens (invitation_id)`,
  `create index mailed_tokens_by_expiry on mailed_tokens (expires_at)`,
  ...rowSecurity('mailed_tokens'),
  // The token identifies the person, so the transaction does not have to.
  `grant select, delete on mailed_tokens to ${accounts}`,
  `create policy ${accounts}_find on mailed_tokens for select to ${accounts} using (true)`,
  `create policy ${accounts}_use on mailed_tokens for delete to ${accounts} using (true)`,
  `grant insert on mailed_tokens to ${courier}`,
  `create policy ${courier}_make on mailed_tokens for insert to ${courier} with check (true)`,
  `grant select, delete on mailed_tokens to ${upkeep}`,
  `create policy ${upkeep}_expired on mailed_tokens to ${upkeep} using (expires_at < clock_timestamp())`,
];

// Deliveries to other systems. The transaction that causes a delivery inserts it, and the courier sends it after the
// commit.
const outbox = [
  `create table outbox (
     seq bigint generated always as identity primary key,
     topic text not null check (topic in ('mail', 'membership')),
     ordering_key text not null,
     payload text not null,
     attempts integer not null default 0,
     due_at timestamptz not null default clock_timestamp(),
     leased_until timestamptz,
     parked_at timestamptz,
     last_error text,
     created_at timestamptz not null default clock_timestamp())`,
  `create index outbox_by_key on outbox (ordering_key, seq) where parked_at is null`,
  `create index outbox_by_due on outbox (due_at) where parked_at is null`,
  `create index outbox_parked on outbox (parked_at) where parked_at is not null`,
  ...rowSecurity('outbox'),
  // Other roles can queue deliveries, but not read them.
  `grant insert on outbox to ${accounts}, ${operator}`,
  `create policy ${accounts}_add on outbox for insert to ${accounts} with check (true)`,
  `create policy ${operator}_add on outbox for insert to ${operator} with check (topic = 'membership')`,
  `grant select, delete, update (attempts, due_at, leased_until, parked_at, last_error) on outbox to ${courier}`,
  `create policy ${courier}_deliver on outbox to ${courier} ${only('true')}`,
  `grant select, delete on outbox to ${upkeep}`,
  `create policy ${upkeep}_parked on outbox to ${upkeep} using (parked_at < clock_timestamp() - interval '30 days')`,
];

export const mailTables = [...registrations, ...invitations, ...mailedTokens, ...outbox];
