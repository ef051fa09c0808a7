import { AppError } from '../../errors.ts';
import { deleteSecrets, expireSecret, listSecrets } from '../../store/clients/client-credentials.ts';
import { lockOAuthClient, updateOAuthClient } from '../../store/clients/clients.ts';
import type { AuthDatabase } from '../../store/database.ts';
import { type Admin, asAdmin } from '../tenants/as-admin.ts';
import { addSecret, demand, endTokens, type OAuthClientWithSecret, record, withSecrets } from './manage-clients.ts';

/** The most recent old secret stays valid for `keepOldForSec`. */
export type Rotation = Readonly<{ keepOldForSec: number; revokeTokens: boolean }>;

/**
 * Gives an OAuth client a new secret. The most recent old secret stays valid for a while, so that the OAuth client can
 * switch without an outage. All older secrets and the OAuth client's keys are deleted.
 *
 * @throws AppError `insufficient_role`, `not_found`.
 */
export function rotateSecret(
  db: AuthDatabase,
  admin: Admin,
  id: string,
  { keepOldForSec, revokeTokens }: Rotation,
): Promise<OAuthClientWithSecret> {
  const { tenantId } = admin;
  return asAdmin(db, admin, async (trx) => {
    const oauthClient = { ...demand(await lockOAuthClient(trx, tenantId, id)), jwks: null };
    const [latest, ...older] = await listSecrets(trx, tenantId, [id]);
    const ended = latest !== undefined && keepOldForSec === 0 ? [latest, ...older] : older;
    const endedIds = ended.map((each) => each.id);
    await deleteSecrets(trx, { tenantId, clientId: id }, endedIds);
    if (latest !== undefined && keepOldForSec > 0) await expireSecret(trx, tenantId, latest.id, keepOldForSec);
    await updateOAuthClient(trx, tenantId, id, oauthClient);
    const secret = await addSecret(trx, tenantId, id);
    const rotated = { ...(await withSecrets(trx, oauthClient)), secret };
    const detail = { keep_old_for: keepOldForSec, tokens_ended: revokeTokens };
    await record(trx, admin, 'client.secret_rotated', id, detail);
    if (revokeTokens) await endTokens(trx, tenantId, id);
    return rotated;
  });
}

/**
 * Revokes one secret of an OAuth client, such as the old secret after a rotation.
 *
 * @throws AppError `insufficient_role`, `not_found`.
 */
export async function endSecret(db: AuthDatabase, admin: Admin, clientId: string, secretId: string): Promise<void> {
  await asAdmin(db, admin, async (trx) => {
    demand(await lockOAuthClient(trx, admin.tenantId, clientId));
    const count = await deleteSecrets(trx, { tenantId: admin.tenantId, clientId }, [secretId]);
    if (count === 0) throw new AppError('not_found');
    await record(trx, admin, 'client.secret_ended', clientId, { secret_id: secretId });
  });
}
