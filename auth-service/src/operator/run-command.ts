import { AppError } from '../errors.ts';
import { type KeyParts, listKeys, revokeKey, rewrapSecrets, rotateKeys } from '../flows/manage-keys.ts';
import { disableUser, enableUser, endAllSessions, resetSecondFactor } from '../flows/operate.ts';
import { verifyAudit } from '../flows/verify-audit.ts';

import type { CommandName } from './commands.ts';
import { tableLines } from './table-lines.ts';

export type OperatorParts = KeyParts;

type Run = (parts: OperatorParts, argument: string, requestId: string) => Promise<readonly string[]>;

/** What each command does. It answers with lines for a person; none of them holds a secret. */
export const run: Readonly<Record<CommandName, Run>> = {
  async 'keys list'(parts) {
    const rows = (await listKeys(parts)).map(({ key, state }) => [
      key.kid,
      key.revokedAt === null ? state : 'revoked',
      key.activateAt.toISOString(),
      key.retireAt.toISOString(),
      key.kekId,
    ]);
    return tableLines([['KID', 'STATE', 'IN USE FROM', 'TO', 'MASTER KEY'], ...rows]);
  },
  async 'keys rotate'(parts, _argument, requestId) {
    const { kid, at } = await rotateKeys(parts, requestId);
    return [`${kid} signs from ${at.toISOString()}`];
  },
  async 'keys revoke'(parts, kid, requestId) {
    const { signing } = await revokeKey(parts, kid, requestId);
    return [`${kid} is revoked`, `${signing} signs from now on`];
  },
  async 'keys rewrap'(parts, _argument, requestId) {
    const { signingKeys, secondFactors, kekId } = await rewrapSecrets(parts, requestId);
    return [`sealed anew under "${kekId}": ${signingKeys} signing keys, ${secondFactors} second factors`];
  },
  async 'sessions end-all'({ db }, _argument, requestId) {
    const { ended, tenants } = await endAllSessions(db, requestId);
    return [`${ended} sessions ended in ${tenants} tenants; no access token from before passes a gateway any more`];
  },
  async 'users disable'({ db }, email, requestId) {
    const { ended } = await disableUser(db, email, requestId);
    return [`${email} is disabled; ${ended} sessions ended`];
  },
  async 'users enable'({ db }, email, requestId) {
    await enableUser(db, email, requestId);
    return [`${email} is enabled`];
  },
  async 'mfa reset'({ db }, email, requestId) {
    await resetSecondFactor(db, email, requestId);
    return [`${email} logs in with the password alone, until they enrol again`];
  },
  async 'audit verify'({ db }) {
    const chains = await verifyAudit(db);
    const broken = chains.filter(({ brokenAt }) => brokenAt !== undefined);
    if (broken.length > 0) {
      const where = broken.map(({ tenantId, brokenAt }) => ({ tenant: tenantId, entry: brokenAt }));
      throw new AppError('audit_broken', {
        detail: { where },
        errors: where.map(({ tenant, entry }) => ({
          path: tenant,
          message: `entry ${entry} does not follow from the one before`,
        })),
      });
    }
    return tableLines([
      ['TENANT', 'ENTRIES', 'LAST HASH'],
      ...chains.map(({ tenantId, entries, head }) => [tenantId, String(entries), head]),
    ]);
  },
};
