import type { Logger } from '@countersign/service-kit';
import { networkOf } from '../../domain/accounts/network.ts';
import { auditLimit } from '../../domain/sessions/login-limits.ts';
import type { ErrorCode } from '../../errors.ts';
import { findCandidate } from '../../store/accounts/accounts.ts';
import { type AuditAction, operatorChain } from '../../store/audit/audit.ts';
import type { AuthDatabase } from '../../store/database.ts';
import { roles } from '../../store/roles.ts';
import type { Caller } from '../sessions/grant.ts';
import type { Throttle } from '../sessions/throttle.ts';
import { recordForPerson, recordInTenant } from './record.ts';

type RecordParts = Readonly<{ db: AuthDatabase; throttle: Throttle; logger: Logger }>;

/** The e-mail of a refused login, which may have no account, or the user whose password was right. */
export type Whose = Readonly<{ email: string } | { userId: string }>;

type Refusal = Readonly<{ whose: Whose; code: ErrorCode; caller: Caller }>;

/**
 * Writes a failed or throttled login into the audit log, a bounded number of them an hour. It runs after the response,
 * whose timing would otherwise reveal whether the address has an account.
 */
export function recordRefusal(parts: RecordParts, refusal: Refusal): void {
  record(parts, refusal).catch((error) =>
    parts.logger.error({ err: error, request_id: refusal.caller.requestId }, 'a refused login is not in the audit log'),
  );
}

async function record({ db, throttle }: RecordParts, { whose, code, caller }: Refusal): Promise<void> {
  const { requestId, ip } = caller;
  const action: AuditAction = code === 'too_many_attempts' ? 'login.throttled' : 'login.failed';
  const subject = 'email' in whose ? whose.email : whose.userId;
  // The cheap check first: a flood that is already throttled must not cause address lookups.
  const limit = auditLimit(action, action === 'login.throttled' ? networkOf(ip) : subject);
  if (!(await throttle.mayRecord(limit))) return;
  const userId = 'userId' in whose ? whose.userId : (await findCandidate(db, whose.email)).userId;
  if (!(await throttle.mayRecord(auditLimit(userId === undefined ? 'unknown' : 'known', action)))) return;
  // Without the address: people type passwords into that field.
  const event = { action, requestId, detail: { ip, reason: code } };
  await db.transaction({ role: roles.self }, (trx) =>
    userId === undefined
      ? recordInTenant(trx, { ...event, tenantId: operatorChain, userId: null, sessionId: null })
      : recordForPerson(trx, userId, event),
  );
}
