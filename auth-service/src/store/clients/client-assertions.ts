import type { VerifiedAssertion } from '../../domain/clients/client-assertion.ts';
import type { Trx } from '../scope.ts';

/** Uses an assertion up, for all instances. @returns false when it was used before. */
export async function useAssertion(
  trx: Trx,
  { hash, expiresAt }: Pick<VerifiedAssertion, 'hash' | 'expiresAt'>,
  { tenantId, clientId }: Readonly<{ tenantId: string; clientId: string }>,
): Promise<boolean> {
  const { numInsertedOrUpdatedRows = 0n } = await trx
    .insertInto('client_assertions')
    .values({ hash, tenant_id: tenantId, client_id: clientId, expires_at: expiresAt })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  return numInsertedOrUpdatedRows > 0n;
}
