import type { UserIdentity } from '@countersign/identity';
import { AppError } from '../../errors.ts';

const freshLoginSec = 5 * 60;

/**
 * Admits a user who logged in within five minutes: a token that was taken from a browser is usually older. An issuer
 * that does not say when the user logged in cannot be used for this.
 *
 * @throws AppError `fresh_login_required`, with the challenge of RFC 9470 section 3.
 */
export function demandFreshLogin({ context }: UserIdentity, now: Date): void {
  if (now.getTime() / 1000 - (context.authTime ?? 0) <= freshLoginSec) return;
  const challenge = `Bearer error="insufficient_user_authentication", max_age=${freshLoginSec}`;
  throw new AppError('fresh_login_required', { headers: { 'www-authenticate': challenge } });
}
