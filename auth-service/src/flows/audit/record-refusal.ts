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

/** Who tried to log in: an email address, which may have no account, or a user who entered the correct password. */
export type Whose = Readonly<{ email: string } | { userId: string }>;

type Refusal = Readonly<{ whose: Whose; code: ErrorCode; caller: Caller }>;

/**
 * Writes failed and throttled logins to the audit log, up to an hourly limit. Runs after the response, whose timing
 * would otherwise reveal whether the address has an account.
 */
export function recordRefusal(parts: RecordParts, refusal: Refusal): void {
  record(parts, refusal).catch((error) =>
    parts.logger.error(
      { err: error, request_id: refusal.caller.requestId },
      'a refused login could not be written to the audit log',
    ),
  );
}

async function record({ db, throttle }: RecordParts, { whose, code, caller }: Refusal): Promise<void> {
  const { requestId, ip } = caller;
  const action: AuditAction = code === 'too_many_attempts' ? 'login.throttled' : 'login.failed';
  const subject = 'email' in whose ? whose.email : whose.userId;
  // Checks this limit first: throttled requests must not cause address lookups.
  const limit = auditLimit(action, action === 'login.throttled' ? networkOf(ip) : subject);
  if (!(await throttle.mayRecord(limit))) return;
  const userId = 'userId' in whose ? whose.userId : (await findCandidate(db, whose.email)).userId;
  if (!(await throttle.mayRecord(auditLimit(userId === undefined ? 'unknown' : 'known', action)))) return;
  // Omits the address, because people sometimes type their password into that field.
  const event = { action, requestId, detail: { ip, reason: code } };
  await db.transaction({ role: roles.self }, (trx) =>
    userId === undefined
      ? recordInTenant(trx, { ...event, tenantId: operatorChain, userId: null, sessionId: null })
      : recordForPerson(trx, userId, event),
  );
}
