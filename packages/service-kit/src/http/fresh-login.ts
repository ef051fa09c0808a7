import { AppError } from '../errors.ts';

const freshLoginSec = 5 * 60;

/**
 * Requires a login within the last five minutes, because a token stolen from a browser is usually older.
 *
 * @param authTimeSec When the user logged in. If the issuer does not send this, the request is refused.
 * @throws AppError `fresh_login_required`, with the challenge of RFC 9470 section 3.
 */
export function assertFreshLogin(authTimeSec: number | undefined, now: Date): void {
  if (now.getTime() / 1000 - (authTimeSec ?? 0) <= freshLoginSec) return;
  const challenge = `Bearer error="insufficient_user_authentication", max_age=${freshLoginSec}`;
  throw new AppError('fresh_login_required', { headers: { 'www-authenticate': challenge } });
}
