import type { Trx } from '../../store/scope.ts';
import { insertMember } from '../../store/tenants/members.ts';
import { queueMembership } from '../mail/outbox-messages.ts';

/**
 * Makes a person a member of the transaction's tenant, and queues an update for other services.
 *
 * @returns false if the person is already a member.
 */
export async function joinTenant(
  trx: Trx,
  { tenantId, userId, email, role }: Readonly<{ tenantId: string; userId: string; email: string; role: string }>,
): Promise<boolean> {
  const sequence = await insertMember(trx, { tenantId, userId, role });
  if (sequence === undefined) return false;
  await queueMembership(trx, { sequence, tenant_id: tenantId, user_id: userId, email, role, status: 'active' });
  return true;
}
