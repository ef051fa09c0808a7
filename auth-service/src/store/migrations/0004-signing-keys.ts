import type { Migration } from '@countersign/database';
import { roles } from '../roles.ts';
import { rowSecurity } from './policies.ts';

export const signingKeysMigration: Migration = {
  name: '0004-signing-keys',
  statements: [
    `create table signing_keys (
       kid text primary key,
       alg text not null,
       public_jwk text not null,
       private_enc bytea not null,
       kek_id text not null,
       publish_at timestamptz not null,
       activate_at timestamptz not null,
       retire_at timestamptz not null,
       remove_at timestamptz not null,
       revoked_at timestamptz,
       check (publish_at <= activate_at and activate_at < retire_at and retire_at < remove_at))`,
    ...rowSecurity('signing_keys'),
    `grant select, insert on signing_keys to ${roles.keys}`,
    `create policy ${roles.keys}_all on signing_keys to ${roles.keys} using (true) with check (true)`,
  ],
};
