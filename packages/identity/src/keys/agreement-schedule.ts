import type { AgreementKeyPair } from './agreement-jwk.ts';

/** A key of the service, and when it was created, in Unix seconds. */
export type DatedKey = AgreementKeyPair & Readonly<{ createdSec: number }>;

/** The service's keys at one moment. */
export type ScheduledKeys = Readonly<{
  /** The keys that the gateway may choose, newest first. */
  published: readonly DatedKey[];
  /** Every key that the service still accepts. */
  accepted: readonly DatedKey[];
  /** The keys that the service no longer accepts. */
  over: readonly DatedKey[];
  /** Whether the next key must be created. */
  isDue: boolean;
}>;

export const rotateAfterSec = 90 * 24 * 3600;
/** Every instance has read a new key by then, so it accepts the key before any instance publishes it. */
const settleSec = 30;
/** How long the old key stays published, so that the gateway fetches the new key of every instance meanwhile. */
const overlapSec = 15 * 60;
/** The gateway drops a key that no fetch confirmed for an hour. Until then, and 15 minutes more, the service accepts it. */
const acceptSec = 75 * 60;

/**
 * Decides the use of each key, by the keys and the time alone: instances with the same keys agree.
 *
 * @param keys In the order in which they were created.
 */
export function scheduleKeys(keys: readonly DatedKey[], nowSec: number, everySec = rotateAfterSec): ScheduledKeys {
  const publishedFrom = keys.map(({ createdSec }, index) => (index === 0 ? createdSec : createdSec + settleSec));
  const publishedUntil = keys.map((_key, index) => (publishedFrom[index + 1] ?? Number.POSITIVE_INFINITY) + overlapSec);
  const isPublished = (index: number) =>
    (publishedFrom[index] ?? 0) <= nowSec && nowSec < (publishedUntil[index] ?? Number.POSITIVE_INFINITY);
  const published = keys.filter((_key, index) => isPublished(index)).reverse();
  const isAccepted = (index: number) => nowSec < (publishedUntil[index] ?? Number.POSITIVE_INFINITY) + acceptSec;
  const newest = keys.at(-1);
  return {
    // The first key is published even if the clock was set back since it was made.
    published: published.length > 0 ? published : keys.slice(0, 1),
    accepted: keys.filter((_key, index) => isAccepted(index)),
    over: keys.filter((_key, index) => !isAccepted(index)),
    isDue: newest === undefined || newest.createdSec + everySec <= nowSec,
  };
}
