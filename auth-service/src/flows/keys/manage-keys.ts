import type { KeyRing } from '../../domain/keys/key-ring.ts';
import {
  activeKey,
  type KeyState,
  keyState,
  lifeFrom,
  nextKey,
  publishAheadMs,
  retiredAt,
} from '../../domain/keys/signing-key-lifecycle.ts';
import type { SigningAlgorithm } from '../../domain/sessions/access-token.ts';
import { keyRevocationInForceSec } from '../../domain/sessions/session-rules.ts';
import { AppError } from '../../errors.ts';
import type { AuthDatabase } from '../../store/database.ts';
import { changeKeys, insertKey, readSigningKeys, type StoredKey, updateKey } from '../../store/keys/signing-keys.ts';
import type { Trx } from '../../store/scope.ts';
import { resealTotp } from '../../store/second-factor/second-factors.ts';
import { appendRevocations } from '../../store/sessions/revocations.ts';
import { recordForOperator } from '../audit/record.ts';
import { resealSecret } from '../second-factor/totp-secret.ts';
import { makeKey, resealPrivateKey } from './signing-keys.ts';

/** `alg` is the algorithm for new keys, ES256 by default. */
export type KeyParts = Readonly<{ db: AuthDatabase; keks: KeyRing; alg?: SigningAlgorithm }>;

export type ListedKey = Readonly<{ key: StoredKey; state: KeyState }>;

/** Lists all stored keys, oldest first. */
export async function listKeys({ db }: Pick<KeyParts, 'db'>): Promise<ListedKey[]> {
  const { keys, now } = await readSigningKeys(db);
  return keys.map((key) => ({ key, state: keyState(key, keys, now) }));
}

/**
 * Activates the next key as soon as every verifier has had time to fetch it. If it was published at least 25 h ago,
 * that is now.
 *
 * @returns The key and its activation time.
 */
export async function rotateKeys({ db, ...parts }: KeyParts, requestId: string): Promise<{ kid: string; at: Date }> {
  return changeKeys(db, async (trx, { keys, now }) => {
    const next = nextKey(keys, now);
    const knownAtMs = next?.knownAt.getTime() ?? now.getTime() + publishAheadMs;
    const at = new Date(Math.max(now.getTime(), knownAtMs));
    const kid = await takeOver(trx, { ...parts, next: next?.key, at, now });
    const active = activeKey(keys, now);
    if (active !== undefined) await updateKey(trx, active.kid, retiredAt(at));
    await recordForOperator(trx, { action: 'key.rotated', requestId, detail: { kid, at: at.toISOString() } });
    return { kid, at };
  });
}

/**
 * Revokes a key that may be compromised. The key no longer signs and leaves the key set, and gateways refuse every
 * token signed with it. If the key was active, the next key takes over immediately.
 *
 * @returns The key that signs from now on.
 * @throws AppError `not_found`, also for a key that is already revoked.
 */
export async function revokeKey(
  { db, ...parts }: KeyParts,
  kid: string,
  requestId: string,
): Promise<{ signing: string }> {
  return changeKeys(db, async (trx, { keys, now }) => {
    const left = keys.filter((key) => key.kid !== kid && key.revoked_at === null);
    if (!keys.some((key) => key.kid === kid && key.revoked_at === null)) {
      const message = 'no revocable key has this id; run keys list to see all keys';
      throw new AppError('not_found', { errors: [{ path: 'KID', message }] });
    }
    await updateKey(trx, kid, { revoked_at: now });
    const active = activeKey(left, now);
    // Prefers the next key to a retiring key.
    const wasActive = activeKey(keys, now)?.kid === kid;
    const signing =
      wasActive || active === undefined
        ? await takeOver(trx, { ...parts, next: nextKey(left, now)?.key, at: now, now })
        : active.kid;
    await recordForOperator(trx, { action: 'key.revoked', requestId, detail: { kid, signing } });
    await appendRevocations(trx, [{ kind: 'key', kid }], keyRevocationInForceSec);
    return { signing };
  });
}

/**
 * Encrypts signing keys and second-factor secrets with the current master key. Older master keys can then be removed.
 */
export async function rewrapSecrets(
  { db, keks }: Pick<KeyParts, 'db' | 'keks'>,
  requestId: string,
): Promise<{ signingKeys: number; secondFactors: number; kekId: string }> {
  return changeKeys(db, async (trx, { keys }) => {
    const old = keys.filter(({ kek_id }) => kek_id !== keks.current.id);
    for (const key of old) await updateKey(trx, key.kid, resealPrivateKey(key, keks));
    const secondFactors = await resealTotp(trx, keks.current.id, (secret) => resealSecret(secret, keks));
    const counts = { signingKeys: old.length, secondFactors, kekId: keks.current.id };
    await recordForOperator(trx, { action: 'keys.rewrapped', requestId, detail: counts });
    return counts;
  });
}

async function takeOver(
  trx: Trx,
  { keks, alg, next, at, now }: Omit<KeyParts, 'db'> & Readonly<{ next: StoredKey | undefined; at: Date; now: Date }>,
): Promise<string> {
  if (next !== undefined) {
    // The time of publication stays: the service may not write it.
    const { publish_at: _, ...times } = lifeFrom(next.publish_at, at);
    await updateKey(trx, next.kid, times);
    return next.kid;
  }
  const made = await makeKey(keks, alg);
  await insertKey(trx, { ...made, ...lifeFrom(now, at), revoked_at: null });
  return made.kid;
}
