/** A key's timestamps, from which all instances derive the same state without a leader. */
export type KeyTimes = Readonly<{
  publish_at: Date;
  activate_at: Date;
  retire_at: Date;
  remove_at: Date;
  revoked_at: Date | null;
}>;

type KeyState = 'pending' | 'active' | 'retiring' | 'removed';

const hourMs = 3_600_000;
/** Until every verifier has a new key: our `max-age`, the 24 h of a stale key set, and tolerance. */
export const publishAheadMs = 25 * hourMs;
const activeForMs = 90 * 24 * hourMs;
/** The next key exists a minute after this one signs, so that verifiers know it and it can replace a revoked one. */
const planAheadMs = activeForMs - 60_000;
/** How long a retired key stays published: long enough even if its successor is late. */
const retireForMs = publishAheadMs + 2 * hourMs;

/** Returns a key's state. A key signs until its successor is active, so there is always a signing key. */
export function keyState(key: KeyTimes, all: readonly KeyTimes[], now: Date): KeyState {
  if (key.revoked_at !== null || now >= key.remove_at || now < key.publish_at) return 'removed';
  if (now < key.activate_at) return 'pending';
  return key === activeKey(all, now) ? 'active' : 'retiring';
}

/** Returns the signing key: the active key that was activated last. */
export function activeKey<Key extends KeyTimes>(keys: readonly Key[], now: Date): Key | undefined {
  const [latest] = keys
    .filter((key) => key.revoked_at === null && key.activate_at <= now && now < key.remove_at)
    .sort((a, b) => b.activate_at.getTime() - a.activate_at.getTime());
  return latest;
}

/** Returns the keys to publish. Verifiers need a key before it signs, and while its tokens are valid. */
export function publishedKeys<Key extends KeyTimes>(keys: readonly Key[], now: Date): Key[] {
  return keys.filter((key) => key.revoked_at === null && key.publish_at <= now && now < key.remove_at);
}

/**
 * Returns the key to create now, if one is due. The first key is active immediately, because no verifier has cached a
 * key set yet. Later keys are published 25 h before use.
 */
export function dueKey(keys: readonly KeyTimes[], now: Date): Omit<KeyTimes, 'revoked_at'> | undefined {
  const alive = publishedKeys(keys, now);
  if (alive.length === 0) return lifeFrom(now, now);
  const lastRetirement = Math.max(...alive.map((key) => key.retire_at.getTime()));
  if (lastRetirement - now.getTime() > planAheadMs) return undefined;
  return lifeFrom(now, new Date(Math.max(lastRetirement, now.getTime() + publishAheadMs)));
}

/** Returns the key that takes over next, and the time by which every verifier knows it. */
export function nextKey<Key extends KeyTimes>(
  keys: readonly Key[],
  now: Date,
): Readonly<{ key: Key; knownAt: Date }> | undefined {
  const [key] = publishedKeys(keys, now)
    .filter(({ activate_at }) => activate_at > now)
    .sort((a, b) => a.activate_at.getTime() - b.activate_at.getTime());
  return key && { key, knownAt: new Date(key.publish_at.getTime() + publishAheadMs) };
}

/** The timestamps of a key that another key replaces at this time. */
export const retiredAt = (time: Date): Pick<KeyTimes, 'retire_at' | 'remove_at'> => ({
  retire_at: time,
  remove_at: new Date(time.getTime() + retireForMs),
});

/** The timestamps of a key that becomes active at this time. */
export function lifeFrom(publishAt: Date, activateAt: Date): Omit<KeyTimes, 'revoked_at'> {
  const retirement = retiredAt(new Date(activateAt.getTime() + activeForMs));
  return { publish_at: publishAt, activate_at: activateAt, ...retirement };
}
