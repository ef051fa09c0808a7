import type { Logger } from '@countersign/process-kit';
import type { EndReason } from '../../domain/sessions/session-rules.ts';
import type { ErrorCode } from '../../errors.ts';
import { findCandidate } from '../../store/accounts/accounts.ts';
import { type AuditAction, type AuditEvent, appendAudit, operatorChain } from '../../store/audit/audit.ts';
import type { WithdrawnInvitation } from '../../store/tenants/invitations.ts';
import { tenantsOf } from '../../store/tenants/tenants.ts';
import { type AuthDatabase, actAs, becomeUser, enterTenant, roles, type Trx } from '../../store/transaction.ts';
import { auditLimit, type HttpCaller, networkOf, type Throttle } from '../sessions/throttle.ts';

/** Records an account event in each of the person's tenants, or else for the operator. Acts as that user afterwards. */
export async function recordForPerson(
  trx: Trx,
  userId: string,
  event: Omit<AuditEvent, 'tenantId' | 'userId'>,
): Promise<void> {
  await actAs(trx, roles.self);
  await becomeUser(trx, userId);
  const tenants = await tenantsOf(trx, userId);
  for (const tenantId of tenants.length > 0 ? tenants : [operatorChain]) {
    await enterTenant(trx, tenantId);
    await appendAudit(trx, { ...event, tenantId, userId });
  }
}

/** Records an event in its tenant's audit log. The transaction then has access to that tenant's sessions. */
export async function recordInTenant(trx: Trx, event: AuditEvent): Promise<void> {
  await actAs(trx, roles.app);
  await enterTenant(trx, event.tenantId);
  await appendAudit(trx, event);
}

/** Records an operator's action in the operator's audit log. Call this before writing to a tenant's audit log. */
export const recordForOperator = (trx: Trx, event: Omit<AuditEvent, 'tenantId'>): Promise<void> =>
  appendAudit(trx, { ...event, tenantId: operatorChain });

/** For invitations whose inviter can no longer invite people. The transaction must be allowed to write there. */
export async function recordWithdrawn(
  trx: Trx,
  withdrawn: readonly WithdrawnInvitation[],
  {
    inviter,
    reason,
    ...by
  }: Pick<AuditEvent, 'userId' | 'sessionId' | 'requestId'> & Readonly<{ inviter: string; reason: EndReason }>,
): Promise<void> {
  for (const { id, tenantId, email } of withdrawn) {
    const detail = { invitation_id: id, email, invited_by: inviter, reason };
    await appendAudit(trx, { ...by, tenantId, action: 'invitation.revoked', detail });
  }
}

/** Who tried to log in: an email address, which may have no account, or a user who entered the correct password. */
export type Whose = Readonly<{ email: string } | { userId: string }>;

/**
 * Writes failed and throttled logins to the audit log, up to an hourly limit. Runs after the response, whose timing
 * would otherwise reveal whether the address has an account. Never throws.
 */
export async function recordRefusal(
  { db, throttle, logger }: Readonly<{ db: AuthDatabase; throttle: Throttle; logger: Logger }>,
  { whose, code, caller }: Readonly<{ whose: Whose; code: ErrorCode; caller: HttpCaller }>,
): Promise<void> {
  const { requestId, ip } = caller;
  try {
    const action: AuditAction = code === 'too_many_attempts' ? 'login.throttled' : 'login.failed';
    const subject = 'email' in whose ? whose.email : whose.userId;
    // Checks this limit first: throttled requests must not cause address lookups.
    const limit = auditLimit(action, action === 'login.throttled' ? networkOf(ip) : subject);
    if (!(await throttle.allows(limit))) return;
    const userId = 'userId' in whose ? whose.userId : (await findCandidate(db, whose.email)).userId;
    if (!(await throttle.allows(auditLimit(userId === undefined ? 'unknown' : 'known', action)))) return;
    // Omits the address, because people sometimes type their password into that field.
    const event = { action, requestId, detail: { ip, reason: code } };
    await db.transaction({ role: roles.self }, (trx) =>
      userId === undefined
        ? recordInTenant(trx, { ...event, tenantId: operatorChain })
        : recordForPerson(trx, userId, event),
    );
  } catch (error) {
    logger.error({ err: error, request_id: requestId }, 'a refused login could not be written to the audit log');
  }
}
