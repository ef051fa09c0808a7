import type { Migration } from '@countersign/database';
import { roles } from '../roles.ts';
import { currentUser } from './policies.ts';

const { app } = roles;

export const ownDelegationsMigration: Migration = {
  name: '0024-own-delegations',
  statements: [
    // Besides the policy for the tenant: a person consents for themselves alone.
    `create policy ${app}_own on delegations as restrictive for insert to ${app} with check (user_id = ${currentUser})`,
  ],
};
