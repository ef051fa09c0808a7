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
