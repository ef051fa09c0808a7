import type { ColumnType, Generated, Selectable } from 'kysely';
import type { GrantType } from '../domain/clients/client-rules.ts';
import type { KeyTimes } from '../domain/keys/signing-key-lifecycle.ts';
import type { Transport } from '../domain/sessions/session-rules.ts';

type Status = 'active' | 'disabled';
/** Set by the database, so that all times come from its clock. */
type DatabaseTime = ColumnType<Date, never, Date>;

export type MailedTokenPurpose = 'email_verification' | 'password_reset' | 'invitation';

export const outboxTopics = ['mail', 'membership'] as const;

export type OutboxTopic = (typeof outboxTopics)[number];

/** The tables and their columns. */
export type AuthSchema = {
  tenants: { id: string; slug: string; name: string; status: Generated<Status> };
  users: { id: string; email_ci: string; email_verified_at: Date | null; status: Generated<Status> };
  credentials: {
    user_id: string;
    hash: string;
    pepper_kid: string;
    changed_at: ColumnType<Date, Date | undefined, Date>;
  };
  memberships: {
    tenant_id: string;
    user_id: string;
    role: string;
    status: Generated<Status>;
    /** Increases with every change. */
    version: Generated<number>;
  };
  sessions: {
    id: string;
    tenant_id: string;
    user_id: string;
    counter: number;
    token_hash: Buffer;
    sealed_successor: Buffer | null;
    mac_kid: string;
    rotated_at: Date | null;
    absolute_expires_at: Date;
    idle_expires_at: Date;
    revoked_at: Date | null;
    revoked_reason: string | null;
    client_id: string;
    user_agent: string | null;
    ip: string | null;
    auth_time: Date;
    amr: string[];
    jkt: string | null;
    created_at: DatabaseTime;
    last_used_at: DatabaseTime;
  };
  signing_keys: KeyTimes & { kid: string; alg: string; public_jwk: string; private_enc: Buffer; kek_id: string };
  one_time_tokens: {
    hash: Buffer;
    purpose: 'tenant_selection' | 'mfa';
    user_id: string;
    tenant_id: string | null;
    amr: string[];
    transport: Transport;
    created_at: Date;
    expires_at: Date;
  };
  totp: {
    user_id: string;
    secret_enc: Buffer;
    kek_id: string;
    /** Null until the user has confirmed the secret with a code. */
    confirmed_at: Date | null;
    /** Time step of the last accepted code. Codes from this step or earlier are refused. */
    last_step: number | null;
    created_at: DatabaseTime;
  };
  recovery_codes: { hash: Buffer; user_id: string; created_at: DatabaseTime };
  login_attempts: { key: string; count: number; window_ends_at: Date };
  revocations: {
    seq: ColumnType<number, never, never>;
    kind: 'session' | 'member' | 'user' | 'tenant' | 'key' | 'client';
    sid: string | null;
    user_id: string | null;
    tenant_id: string | null;
    kid: string | null;
    client_id: string | null;
    not_before: Date;
    expires_at: Date;
  };
  revocation_log: { id: string };
  audit_log: {
    tenant_id: string;
    seq: number;
    at: Date;
    action: string;
    user_id: string | null;
    session_id: string | null;
    request_id: string;
    detail: string;
    prev_hash: Buffer;
    hash: Buffer;
  };
  clients: {
    id: string;
    tenant_id: string;
    name: string;
    scopes: string[];
    grant_types: GrantType[];
    jwks: string | null;
    status: Generated<Status>;
    created_by: string | null;
    created_at: DatabaseTime;
    last_used_at: ColumnType<Date | null, never, Date>;
  };
  client_secrets: {
    id: string;
    tenant_id: string;
    client_id: string;
    hash: Buffer;
    created_at: DatabaseTime;
    expires_at: ColumnType<Date | null, never, Date>;
    last_used_at: ColumnType<Date | null, never, Date>;
  };
  client_assertions: { hash: Buffer; tenant_id: string; client_id: string; expires_at: Date };
  delegations: {
    id: string;
    tenant_id: string;
    user_id: string;
    client_id: string;
    session_id: string;
    scopes: string[];
    token_hash: Buffer;
    created_at: DatabaseTime;
    expires_at: Date;
    last_used_at: ColumnType<Date | null, never, Date>;
    revoked_at: ColumnType<Date | null, never, Date>;
  };
  registrations: {
    id: string;
    email_ci: string;
    created_at: DatabaseTime;
    expires_at: Date;
  };
  invitations: {
    id: string;
    tenant_id: string;
    email_ci: string;
    role: string;
    /** Null if an operator sent the invitation. */
    invited_by: string | null;
    created_at: DatabaseTime;
    expires_at: Date;
    accepted_at: Date | null;
    accepted_by: string | null;
    revoked_at: Date | null;
  };
  mailed_tokens: {
    hash: Buffer;
    purpose: MailedTokenPurpose;
    registration_id: string | null;
    user_id: string | null;
    invitation_id: string | null;
    tenant_id: string | null;
    created_at: DatabaseTime;
    expires_at: Date;
  };
  outbox: {
    seq: ColumnType<number, never, never>;
    topic: OutboxTopic;
    ordering_key: string;
    payload: string;
    attempts: Generated<number>;
    due_at: Generated<Date>;
    leased_until: Date | null;
    parked_at: Date | null;
    last_error: string | null;
    created_at: DatabaseTime;
  };
};

export type Row<Table extends keyof AuthSchema> = Selectable<AuthSchema[Table]>;
