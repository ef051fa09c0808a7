import type { ClientIdentity, UserIdentity } from '@countersign/identity';
import { AppError } from '@countersign/process-kit';

const freshLoginSec = 5 * 60;

export const isFreshLogin = (authTimeSec: number | undefined, now: Date): boolean =>
  now.getTime() / 1000 - (authTimeSec ?? 0) <= freshLoginSec;

/**
 * Requires a login within the last five minutes, because a token stolen from a browser is usually older.
 *
 * @throws AppError `fresh_login_required` (RFC 9470 section 3), also if the issuer does not send `auth_time`.
 */
export function assertFreshLogin(authTimeSec: number | undefined, now: Date): void {
  if (isFreshLogin(authTimeSec, now)) return;
  const challenge = `Bearer error="insufficient_user_authentication", max_age=${freshLoginSec}`;
  throw new AppError('fresh_login_required', { headers: { 'www-authenticate': challenge } });
}

/**
 * Returns the tenant whose data a caller reads. OAuth clients need a scope, also when they act for a user.
 *
 * @throws AppError `insufficient_scope`, also for an OAuth client without a tenant.
 */
export function readerTenantOf({ kind, tenantId, context }: UserIdentity | ClientIdentity, scope: string): string {
  const needsScope = kind === 'client' || context.act !== undefined;
  if (tenantId !== undefined && (!needsScope || context.scope?.includes(scope) === true)) return tenantId;
  const challenge = `Bearer error="insufficient_scope", scope="${scope}"`;
  throw new AppError('insufficient_scope', { headers: { 'www-authenticate': challenge } });
}
