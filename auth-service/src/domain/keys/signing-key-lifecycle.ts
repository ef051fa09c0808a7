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
 * Longest time until every verifier has a new key: our `max-age`, the verifier's stale key set (24 h), and tolerance.
 */
export const publishAheadMs = 25 * hourMs;
const activeForMs = 90 * 24 * hourMs;
/**
 * The next key is made a minute after the last one became active. Every verifier then knows it long before it signs,
 * and it can take over at once when the active key is revoked.
 */
const planAheadMs = activeForMs - 60_000;
/** A retired key stays published while its late successor is not active yet. */
const retireForMs = publishAheadMs + 2 * hourMs;

/** The state of a key among the others. A key signs until its successor is active, so there is never a gap. */
export function keyState(key: KeyTimes, all: readonly KeyTimes[], now: Date): KeyState {
  if (key.revokedAt !== null || now >= key.removeAt || now < key.publishAt) return 'removed';
  if (now < key.activateAt) return 'pending';
  return key === activeKey(all, now) ? 'active' : 'retiring';
}

/** The signing key: the most recently activated one of the active keys. */
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
 * Returns the key to make now, if one is due. The first key is active at once, because no verifier has cached a key
 * set yet. Every later key is published 25 h before use.
 */
export function dueKey(keys: readonly KeyTimes[], now: Date): Omit<KeyTimes, 'revokedAt'> | undefined {
  const alive = publishedKeys(keys, now);
  if (alive.length === 0) return timesFrom(now, now);
  const lastRetirement = Math.max(...alive.map((key) => key.retireAt.getTime()));
  if (lastRetirement - now.getTime() > planAheadMs) return undefined;
  return timesFrom(now, new Date(Math.max(lastRetirement, now.getTime() + publishAheadMs)));
}

/** The key that takes over next, and when: once every verifier has had time to fetch it. */
export function nextKey<Key extends KeyTimes>(
  keys: readonly Key[],
  now: Date,
): Readonly<{ key: Key; knownAt: Date }> | undefined {
  const [key] = publishedKeys(keys, now)
    .filter(({ activateAt }) => activateAt > now)
    .sort((a, b) => a.activateAt.getTime() - b.activateAt.getTime());
  return key && { key, knownAt: new Date(key.publishAt.getTime() + publishAheadMs) };
}

/** The later timestamps of a key that is activated at `activateAt`. */
export const lifeFrom = (key: KeyTimes, activateAt: Date): Omit<KeyTimes, 'revokedAt'> =>
  timesFrom(key.publishAt, activateAt);

/** The later timestamps of a key that is replaced at `retireAt`. */
export const retiredAt = (retireAt: Date): Pick<KeyTimes, 'retireAt' | 'removeAt'> => ({
  retireAt,
  removeAt: new Date(retireAt.getTime() + retireForMs),
});

function timesFrom(publishAt: Date, activateAt: Date): Omit<KeyTimes, 'revokedAt'> {
  return { publishAt, activateAt, ...retiredAt(new Date(activateAt.getTime() + activeForMs)) };
}
