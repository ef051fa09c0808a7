import { AppError } from '../errors.ts';

const freshLoginSec = 5 * 60;

/**
 * Requires a login within five minutes: a token that was taken from a browser is usually older.
 *
 * @param authTimeSec When the user logged in. Undefined, from an issuer that does not say so, is refused.
 * @throws AppError `fresh_login_required`, with the challenge of RFC 9470 section 3.
 */
export function assertFreshLogin(authTimeSec: number | undefined, now: Date): void {
  if (now.getTime() / 1000 - (authTimeSec ?? 0) <= freshLoginSec) return;
  const challenge = `Bearer error="insufficient_user_authentication", max_age=${freshLoginSec}`;
  throw new AppError('fresh_login_required', { headers: { 'www-authenticate': challenge } });
}
