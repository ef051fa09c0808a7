/**
 * How long a user waits for a limit of what they do within a window of time.
 *
 * @param limiting When the user did what must leave the window first; undefined when the limit is not reached.
 * @returns Whole seconds until then, 0 for now.
 */
export function secondsToWait(limiting: Date | undefined, now: Date, windowMs: number): number {
  if (limiting === undefined) return 0;
  return Math.max(0, Math.ceil((limiting.getTime() + windowMs - now.getTime()) / 1000));
}
