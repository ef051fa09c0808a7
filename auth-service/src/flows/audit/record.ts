import type { EndReason } from '../../domain/sessions/session-rules.ts';
import { type AuditEvent, appendAudit, operatorChain } from '../../store/audit/audit.ts';
import { roles } from '../../store/roles.ts';
import { actAs, becomeUser, enterTenant, type Trx } from '../../store/scope.ts';
import type { WithdrawnInvitation } from '../../store/tenants/invitations.ts';
import { tenantsOf } from '../../store/tenants/members.ts';

/**
 * Records an account event in the audit log of each of the person's tenants, or in the operator's audit log if they
 * have no tenant. The transaction then runs as that user, with access to their own sessions.
 */
export async function recordForPerson(
  trx: Trx,
  userId: string,
  event: Pick<AuditEvent, 'action' | 'requestId' | 'detail'> & { sessionId?: string | null },
): Promise<void> {
  await actAs(trx, roles.self);
  await becomeUser(trx, userId);
  const tenants = await tenantsOf(trx, userId);
  for (const tenantId of tenants.length > 0 ? tenants : [operatorChain]) {
    await enterTenant(trx, tenantId);
    await appendAudit(trx, { sessionId: null, ...event, tenantId, userId });
  }
}

/** Records an event in its tenant's audit log. The transaction then has access to that tenant's sessions. */
export async function recordInTenant(trx: Trx, event: AuditEvent): Promise<void> {
  await actAs(trx, roles.app);
  await enterTenant(trx, event.tenantId);
  await appendAudit(trx, event);
}

/** Records an operator's action in the operator's audit log. Call this before writing to a tenant's audit log. */
export function recordForOperator(
  trx: Trx,
  { userId = null, detail = {}, ...event }: Pick<AuditEvent, 'action' | 'requestId'> & Partial<AuditEvent>,
): Promise<void> {
  return appendAudit(trx, { ...event, userId, detail, tenantId: operatorChain, sessionId: null });
}

/**
 * Records invitations that ended because their inviter can no longer invite people, each in its tenant's audit log. The
 * transaction must be allowed to write there.
 */
export async function recordWithdrawn(
  trx: Trx,
  withdrawn: readonly WithdrawnInvitation[],
  why: Pick<AuditEvent, 'userId' | 'sessionId' | 'requestId'> & Readonly<{ inviter: string; reason: EndReason }>,
): Promise<void> {
  const { inviter, reason, ...by } = why;
  for (const { id, tenantId, email } of withdrawn) {
    const detail = { invitation_id: id, email, invited_by: inviter, reason };
    await appendAudit(trx, { ...by, tenantId, action: 'invitation.revoked', detail });
  }
}
