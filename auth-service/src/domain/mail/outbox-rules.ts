/** How long a delivery is its process's alone, in seconds; longer than what it may take, so that a lease outlives the work. */
export const leaseSec = 60;

/** What one delivery may take altogether, however often the other side says something meanwhile. */
export const deliveryTimeoutMs = 45_000;

/** After so many failures a mail is parked: about two hours. */
export const maxMailAttempts = 12;

const longestDelaySec = 900;

/** How long to wait after so many failures, in seconds: 2, 4, 8 … and never more than a quarter of an hour. */
export function retryDelaySec(attempts: number, longestSec = longestDelaySec): number {
  return Math.min(longestSec, 2 ** Math.min(attempts, 20));
}
