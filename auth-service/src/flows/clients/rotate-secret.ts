import { AppError } from '../../errors.ts';
import { deleteSecrets, expireSecret, listSecrets } from '../../store/clients/client-credentials.ts';
import { lockClient, updateClient } from '../../store/clients/clients.ts';
import type { AuthDatabase } from '../../store/database.ts';
import { type Admin, asAdmin } from '../tenants/as-admin.ts';
import { addSecret, type ClientWithSecret, demand, endTokens, record, withSecrets } from './manage-clients.ts';

/** `keepOldForSec`: how long the most recent old secret stays valid. 0 ends it immediately. */
export type Rotation = Readonly<{ keepOldForSec: number; revokeTokens: boolean }>;

/**
 * Gives a client a new secret. The most recent old one stays valid for a while, so that the client can switch without
 * an outage. Older ones are deleted, so at most two are valid. The client's keys are removed.
 *
 * @throws AppError `insufficient_role`, `not_found`.
 */
export function rotateSecret(
  db: AuthDatabase,
  admin: Admin,
  id: string,
  { keepOldForSec, revokeTokens }: Rotation,
): Promise<ClientWithSecret> {
  const { tenantId } = admin;
  return asAdmin(db, admin, async (trx) => {
    const client = { ...demand(await lockClient(trx, tenantId, id)), keys: undefined };
    const [latest, ...older] = await listSecrets(trx, tenantId, [id]);
    const ended = latest !== undefined && keepOldForSec === 0 ? [latest, ...older] : older;
    await deleteSecrets(
      trx,
      { tenantId, clientId: id },
      ended.map((each) => each.id),
    );
    if (latest !== undefined && keepOldForSec > 0) await expireSecret(trx, tenantId, latest.id, keepOldForSec);
    await updateClient(trx, tenantId, id, client);
    const secret = await addSecret(trx, client);
    const rotated = { ...(await withSecrets(trx, client)), secret };
    const detail = { keep_old_for: keepOldForSec, tokens_ended: revokeTokens };
    await record(trx, admin, 'client.secret_rotated', id, detail);
    if (revokeTokens) await endTokens(trx, tenantId, id);
    return rotated;
  });
}

/**
 * Revokes one secret of a client, such as the old one after a rotation.
 *
 * @throws AppError `insufficient_role`, `not_found`.
 */
export async function endSecret(db: AuthDatabase, admin: Admin, clientId: string, secretId: string): Promise<void> {
  await asAdmin(db, admin, async (trx) => {
    demand(await lockClient(trx, admin.tenantId, clientId));
    const count = await deleteSecrets(trx, { tenantId: admin.tenantId, clientId }, [secretId]);
    if (count === 0) throw new AppError('not_found');
    await record(trx, admin, 'client.secret_ended', clientId, { secret_id: secretId });
  });
}
