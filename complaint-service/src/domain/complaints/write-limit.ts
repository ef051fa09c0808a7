/** One user files and edits at most this many complaints within a minute. Each may cost hundreds of rows of the search. */
export const maxWrites = 60;
const windowMs = 60_000;

/**
 * @param limiting When the user made the oldest of their latest {@link maxWrites} writes; undefined when there are fewer.
 * @returns Whole seconds until the user may write again, 0 for now.
 */
export function secondsToWait(limiting: Date | undefined, now: Date): number {
  if (limiting === undefined) return 0;
  return Math.max(0, Math.ceil((limiting.getTime() + windowMs - now.getTime()) / 1000));
}
