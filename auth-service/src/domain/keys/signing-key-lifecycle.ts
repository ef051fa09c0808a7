/** A key's whole life in timestamps, so that every instance sees the same without a leader. */
export type KeyTimes = Readonly<{
  publishAt: Date;
  activateAt: Date;
  retireAt: Date;
  removeAt: Date;
  revokedAt: Date | null;
}>;

export type KeyState = 'pending' | 'active' | 'retiring' | 'removed';

const hourMs = 3_600_000;
/** Longest that a verifier may not have seen a new key: our `max-age`, its stale key set (24 h), and tolerance. */
export const publishAheadMs = 25 * hourMs;
const activeForMs = 90 * 24 * hourMs;
/**
 * When the next key is made: a minute after the last came into use. So there is always one that every verifier has known
 * for long, and when the one in use is revoked it takes over at once.
 */
const planAheadMs = activeForMs - 60_000;
/** After its retirement a key stays while a successor that was made late is still being published. */
const retireForMs = publishAheadMs + 2 * hourMs;

/** Where a key stands among the others: it signs until its successor is active, so there is never a gap. */
export function keyState(key: KeyTimes, all: readonly KeyTimes[], now: Date): KeyState {
  if (key.revokedAt !== null || now >= key.removeAt || now < key.publishAt) return 'removed';
  if (now < key.activateAt) return 'pending';
  return key === activeKey(all, now) ? 'active' : 'retiring';
}

/** The key that signs: of those that may, the one activated last. */
export function activeKey<Key extends KeyTimes>(keys: readonly Key[], now: Date): Key | undefined {
  return keys
    .filter((key) => key.revokedAt === null && key.activateAt <= now && now < key.removeAt)
    .reduce<Key | undefined>(
      (best, key) => (best === undefined || key.activateAt > best.activateAt ? key : best),
      undefined,
    );
}

/** Whom the key set shows: a verifier must know a key before it signs and while what it signed is alive. */
export function publishedKeys<Key extends KeyTimes>(keys: readonly Key[], now: Date): Key[] {
  return keys.filter((key) => key.revokedAt === null && key.publishAt <= now && now < key.removeAt);
}

/**
 * The key to make now, if one is due. The very first is active at once, since nobody holds an older set; every other is
 * published 25 h before use.
 */
export function dueKey(keys: readonly KeyTimes[], now: Date): Omit<KeyTimes, 'revokedAt'> | undefined {
  const alive = publishedKeys(keys, now);
  if (alive.length === 0) return timesFrom(now, now);
  const lastRetirement = Math.max(...alive.map((key) => key.retireAt.getTime()));
  if (lastRetirement - now.getTime() > planAheadMs) return undefined;
  return timesFrom(now, new Date(Math.max(lastRetirement, now.getTime() + publishAheadMs)));
}

/** The key that takes over next, and when it can: once every verifier has had the time to learn it. */
export function nextKey<Key extends KeyTimes>(
  keys: readonly Key[],
  now: Date,
): Readonly<{ key: Key; knownAt: Date }> | undefined {
  const [key] = publishedKeys(keys, now)
    .filter(({ activateAt }) => activateAt > now)
    .sort((a, b) => a.activateAt.getTime() - b.activateAt.getTime());
  return key && { key, knownAt: new Date(key.publishAt.getTime() + publishAheadMs) };
}

/** The rest of a key's life when it comes into use at `activateAt`. */
export const lifeFrom = (key: KeyTimes, activateAt: Date): Omit<KeyTimes, 'revokedAt'> =>
  timesFrom(key.publishAt, activateAt);

/** The rest of a key's life when another takes its place at `retireAt`. */
export const retiredAt = (retireAt: Date): Pick<KeyTimes, 'retireAt' | 'removeAt'> => ({
  retireAt,
  removeAt: new Date(retireAt.getTime() + retireForMs),
});

function timesFrom(publishAt: Date, activateAt: Date): Omit<KeyTimes, 'revokedAt'> {
  return { publishAt, activateAt, ...retiredAt(new Date(activateAt.getTime() + activeForMs)) };
}
