/** After this time a delivery is dropped. A webhook that accepted none within this time is disabled. */
export const giveUpAfterMs = 3 * 24 * 3600_000;

/** The total timeout of an attempt, from the DNS lookup to the response status. */
export const attemptTimeoutMs = 10_000;

/** After this many consecutive failures, deliveries to the receiver pause for a while. */
export const maxFailuresInRow = 3;

/** How long deliveries also have a signature by the previous secret after a rotation. */
export const previousSecretMs = 24 * 3600_000;

/** The maximum number of webhooks per tenant. Each event costs work for each webhook. */
export const maxWebhooks = 20;

const firstDelayMs = 5_000;
const longestDelayMs = 3600_000;

/**
 * Returns the delay before the next attempt: 5 s, 10 s, 20 s … up to an hour. Half of it is random, so that deliveries
 * that failed together are not retried together.
 *
 * @param attempts The number of failed attempts so far, at least 1.
 * @param random In [0, 1).
 */
export function retryDelayMs(attempts: number, random: number): number {
  const longest = Math.min(longestDelayMs, firstDelayMs * 2 ** Math.min(attempts - 1, 20));
  return Math.round(longest / 2 + (longest / 2) * random);
}

/** An attempt's outcome. Status 410 means that the receiver wants no more deliveries (RFC 9110 section 15.5.11). */
export function verdictOn(result: Readonly<{ status: number } | { failure: string }>): 'taken' | 'retry' | 'gone' {
  if (!('status' in result)) return 'retry';
  if (result.status >= 200 && result.status < 300) return 'taken';
  return result.status === 410 ? 'gone' : 'retry';
}

/** Stable codes for the delivery log that say why an attempt got no response. */
export type PostFailure = 'address_refused' | 'timeout' | 'connection_failed' | 'tls_failed' | 'bad_answer';

export type PostResult = Readonly<{ status: number } | { failure: PostFailure }>;
