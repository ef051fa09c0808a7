/** Timeout of one delivery in total, even when the other side keeps sending data. */
export const deliveryTimeoutMs = 45_000;

/** Failures after which a mail is parked: about two hours of retries. */
export const maxMailAttempts = 12;

const longestDelaySec = 900;

/** Delay after this many failures, in seconds: 2, 4, 8 … up to 15 minutes. */
export function retryDelaySec(attempts: number, longestSec = longestDelaySec): number {
  return Math.min(longestSec, 2 ** Math.min(attempts, 20));
}
