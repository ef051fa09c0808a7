/** The timestamps of a key. All instances derive the same state from them, without a leader. */
export type KeyTimes = Readonly<{
  publishAt: Date;
  activateAt: Date;
  retireAt: Date;
  removeAt: Date;
  revokedAt: Date | null;
}>;

export type KeyState = 'pending' | 'active' | 'retiring' | 'removed';

const hourMs = 3_600_000;
/**
 * Longest time until every verifier has a new key: our `max-age`, plus the lifetime of a stale key set (24 h), plus
 * tolerance.
 */
export const publishAheadMs = 25 * hourMs;
const activeForMs = 90 * 24 * hourMs;
/**
 * The next key is created a minute after the last one became active. Verifiers then know it long before it signs, and
 * it can replace a revoked key immediately.
 */
const planAheadMs = activeForMs - 60_000;
/** A retired key stays published until its successor is active, even if the successor is late. */
const retireForMs = publishAheadMs + 2 * hourMs;

/** The state of a key relative to the others. A key signs until its successor is active, so there is never a gap. */
export function keyState(key: KeyTimes, all: readonly KeyTimes[], now: Date): KeyState {
  if (key.revokedAt !== null || now >= key.removeAt || now < key.publishAt) return 'removed';
  if (now < key.activateAt) return 'pending';
  return key === activeKey(all, now) ? 'active' : 'retiring';
}

/** The signing key: the active key that was activated last. */
export function activeKey<Key extends KeyTimes>(keys: readonly Key[], now: Date): Key | undefined {
  return keys
    .filter((key) => key.revokedAt === null && key.activateAt <= now && now < key.removeAt)
    .reduce<Key | undefined>(
      (best, key) => (best === undefined || key.activateAt > best.activateAt ? key : best),
      undefined,
    );
}

/** The keys in the published set: verifiers need a key before it signs and while its tokens are valid. */
export function publishedKeys<Key extends KeyTimes>(keys: readonly Key[], now: Date): Key[] {
  return keys.filter((key) => key.revokedAt === null && key.publishAt <= now && now < key.removeAt);
}

/**
 * Returns the key to create now, if one is due. The first key is active immediately, because no verifier has cached a
 * key set yet. Later keys are published 25 h before use.
 */
export function dueKey(keys: readonly KeyTimes[], now: Date): Omit<KeyTimes, 'revokedAt'> | undefined {
  const alive = publishedKeys(keys, now);
  if (alive.length === 0) return timesFrom(now, now);
  const lastRetirement = Math.max(...alive.map((key) => key.retireAt.getTime()));
  if (lastRetirement - now.getTime() > planAheadMs) return undefined;
  return timesFrom(now, new Date(Math.max(lastRetirement, now.getTime() + publishAheadMs)));
}

/** The key that takes over next, and the time: when every verifier has had time to fetch it. */
export function nextKey<Key extends KeyTimes>(
  keys: readonly Key[],
  now: Date,
): Readonly<{ key: Key; knownAt: Date }> | undefined {
  const [key] = publishedKeys(keys, now)
    .filter(({ activateAt }) => activateAt > now)
    .sort((a, b) => a.activateAt.getTime() - b.activateAt.getTime());
  return key && { key, knownAt: new Date(key.publishAt.getTime() + publishAheadMs) };
}

/** The timestamps that follow when a key is activated at `activateAt`. */
export const lifeFrom = (key: KeyTimes, activateAt: Date): Omit<KeyTimes, 'revokedAt'> =>
  timesFrom(key.publishAt, activateAt);

/** The timestamps that follow when a key is replaced at `retireAt`. */
export const retiredAt = (retireAt: Date): Pick<KeyTimes, 'retireAt' | 'removeAt'> => ({
  retireAt,
  removeAt: new Date(retireAt.getTime() + retireForMs),
});

function timesFrom(publishAt: Date, activateAt: Date): Omit<KeyTimes, 'revokedAt'> {
  return { publishAt, activateAt, ...retiredAt(new Date(activateAt.getTime() + activeForMs)) };
}
