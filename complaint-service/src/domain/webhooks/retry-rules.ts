/** Events of this age that a receiver did not take are given up, and a webhook that took none for as long is ended. */
export const giveUpAfterMs = 3 * 24 * 3600_000;

/** The whole time of one attempt, from the lookup of the name to the status of the answer. */
export const attemptTimeoutMs = 10_000;

const firstDelayMs = 5_000;
const longestDelayMs = 3600_000;

/**
 * The delay before the next attempt: 5 s, 10 s, 20 s … up to an hour, half of it at random. Without the random part, all
 * that failed together would be sent together again.
 *
 * @param attempts Failed so far, from 1.
 * @param random In [0, 1).
 */
export function retryDelayMs(attempts: number, random: number): number {
  const longest = Math.min(longestDelayMs, firstDelayMs * 2 ** Math.min(attempts - 1, 20));
  return Math.round(longest / 2 + (longest / 2) * random);
}
