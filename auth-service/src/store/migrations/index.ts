import type { Migration } from '@countersign/database';
import { accountsMigration } from './0001-accounts.ts';
import { sessionsMigration } from './0002-sessions.ts';
import { loginMigration } from './0003-login.ts';
import { signingKeysMigration } from './0004-signing-keys.ts';
import { revocationsMigration } from './0005-revocations.ts';
import { auditLogMigration } from './0006-audit-log.ts';
import { outboxMigration } from './0007-outbox.ts';
import { mailedTokensMigration } from './0008-mailed-tokens.ts';
import { accountChangesMigration } from './0009-account-changes.ts';
import { secondFactorsMigration } from './0010-second-factors.ts';
import { secondFactorChangesMigration } from './0011-second-factor-changes.ts';
import { operatorMigration } from './0012-operator.ts';
import { removedKeysMigration } from './0013-removed-keys.ts';
import { membershipVersionsMigration } from './0014-membership-versions.ts';
import { operatorTenantsMigration } from './0015-operator-tenants.ts';
import { operatorMembersMigration } from './0016-operator-members.ts';
import { operatorInvitationsMigration } from './0017-operator-invitations.ts';
import { registrationsWithoutPasswordMigration } from './0019-registrations-without-password.ts';
import { upkeepIndexesMigration } from './0020-upkeep-indexes.ts';
import { revocationsOfHoldersMigration } from './0021-revocations-of-holders.ts';
import { clientsMigration } from './0022-clients.ts';
import { delegationsMigration } from './0023-delegations.ts';
import { ownDelegationsMigration } from './0024-own-delegations.ts';

/** All migrations in order. The statements of a released one never change. */
export const migrations: readonly Migration[] = [
  accountsMigration,
  sessionsMigration,
  loginMigration,
  signingKeysMigration,
  revocationsMigration,
  auditLogMigration,
  outboxMigration,
  mailedTokensMigration,
  accountChangesMigration,
  secondFactorsMigration,
  secondFactorChangesMigration,
  operatorMigration,
  removedKeysMigration,
  membershipVersionsMigration,
  operatorTenantsMigration,
  operatorMembersMigration,
  operatorInvitationsMigration,
  registrationsWithoutPasswordMigration,
  upkeepIndexesMigration,
  revocationsOfHoldersMigration,
  clientsMigration,
  delegationsMigration,
  ownDelegationsMigration,
];
