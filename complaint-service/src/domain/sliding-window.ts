/**
 * Returns how long a user must wait under a rate limit with a sliding window.
 *
 * @param limiting The time of the event that must leave the window first. Undefined if the limit is not reached.
 * @returns The remaining whole seconds, or 0.
 */
export function secondsToWait(limiting: Date | undefined, now: Date, windowMs: number): number {
  if (limiting === undefined) return 0;
  return Math.max(0, Math.ceil((limiting.getTime() + windowMs - now.getTime()) / 1000));
}
