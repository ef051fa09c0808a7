import { createHash, createPrivateKey, generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { insert, update } from '@countersign/database';
import { StartupError } from '@countersign/process-kit';
import { calculateJwkThumbprint, type JWK } from 'jose';
import type { KeyRing } from '../../domain/keys/key-ring.ts';
import { seal, unseal } from '../../domain/keys/sealing.ts';
import * as lifecycle from '../../domain/keys/signing-key-lifecycle.ts';
import { resealSecret } from '../../domain/second-factor/totp.ts';
import type { SigningAlgorithm } from '../../domain/sessions/access-token.ts';
import { AppError } from '../../errors.ts';
import { changeKeys, type KeysNow, readSigningKeys, type StoredKey } from '../../store/keys/signing-keys.ts';
import { resealTotp } from '../../store/second-factor/second-factors.ts';
import { appendRevocations } from '../../store/sessions/revocations.ts';
import type { AuthDatabase, Trx } from '../../store/transaction.ts';
import { recordForOperator } from '../audit/record.ts';

export type SigningKeys = Awaited<ReturnType<typeof openSigningKeys>>;

/**
 * Loads the signing keys, or creates the first key.
 *
 * @param alg The algorithm for new keys.
 * @throws StartupError if AUTH_SIGNING_KEK cannot decrypt a key in the database. With a new signing key, issued tokens
 *   could no longer be verified.
 */
export async function openSigningKeys(db: AuthDatabase, keks: KeyRing, alg?: SigningAlgorithm) {
  const load = async () => hold(await currentKeys(db, keks, alg), keks);
  let held = await load();
  return {
    /** @throws AppError `unavailable` if there is no signing key. */
    current() {
      if (held.signing === undefined) throw new AppError('unavailable', { detail: { reason: 'no signing key' } });
      return held.signing;
    },
    published: () => held.published,
    /** Reloads the keys, and creates the next key when it is due. After a failure the loaded keys stay in use. */
    async refresh() {
      held = await load();
    },
    get ready() {
      return held.signing !== undefined;
    },
  };
}

async function currentKeys(db: AuthDatabase, keks: KeyRing, alg?: SigningAlgorithm): Promise<KeysNow> {
  const found = await readSigningKeys(db);
  if (lifecycle.dueKey(found.keys, found.now) === undefined) return found;
  // Under the lock, instances that start together do not create several keys.
  return changeKeys(db, async (trx, { keys, now }) => {
    // Decrypts all existing keys first, so that a wrong master key never leads to a new signing key.
    for (const key of keys) openPrivateKey(key, keks);
    const times = lifecycle.dueKey(keys, now);
    if (times === undefined) return { keys, now };
    const key = { ...(await makeKey(keks, alg)), ...times, revoked_at: null };
    await insert(trx, 'signing_keys', key);
    return { keys: [...keys, key], now };
  });
}

function hold({ keys, now }: KeysNow, keks: KeyRing) {
  const opened = new Map(keys.map((key) => [key.kid, openPrivateKey(key, keks)]));
  const active = lifecycle.activeKey(keys, now);
  const privateKey = active && opened.get(active.kid);
  const body = JSON.stringify({
    keys: lifecycle.publishedKeys(keys, now).map((key) => JSON.parse(key.public_jwk) as unknown),
  });
  return {
    signing: active && privateKey && { kid: active.kid, alg: active.alg, privateKey },
    published: { body, etag: `"${createHash('sha256').update(body).digest('base64url')}"` },
  };
}

/** Creates an encrypted key with these timestamps. */
async function makeKey(keks: KeyRing, alg: SigningAlgorithm = 'ES256') {
  const { publicKey, privateKey } = await keyPairs[alg]();
  const jwk = publicKey.export({ format: 'jwk' }) as JWK;
  const kid = await calculateJwkThumbprint(jwk);
  const pkcs8 = privateKey.export({ format: 'der', type: 'pkcs8' });
  return {
    kid,
    alg,
    public_jwk: JSON.stringify({ ...publicMembers(jwk), kid, use: 'sig', alg }),
    private_enc: seal(keks.current.bytes, pkcs8, kid),
    kek_id: keks.current.id,
  };
}

// Asynchronous, because generating an RSA key takes up to a third of a second.
const generate = promisify(generateKeyPair);

const keyPairs = {
  ES256: () => generate('ec', { namedCurve: 'P-256' }),
  EdDSA: () => generate('ed25519'),
  RS256: () => generate('rsa', { modulusLength: 3072 }),
} as const satisfies Record<SigningAlgorithm, unknown>;

const publicMembers = ({ kty, crv, x, y, n, e }: JWK) => ({ kty, crv, x, y, n, e });

/** Encrypts a key with the current master key. */
function resealPrivateKey(key: StoredKey, keks: KeyRing) {
  const pkcs8 = openPrivateKey(key, keks).export({ format: 'der', type: 'pkcs8' });
  return { private_enc: seal(keks.current.bytes, pkcs8, key.kid), kek_id: keks.current.id };
}

function openPrivateKey({ kid, kek_id: kekId, private_enc }: StoredKey, keks: KeyRing): KeyObject {
  const kek = keks.find(kekId);
  if (kek === undefined) {
    throw new StartupError(
      `signing key ${kid} is encrypted with the master key "${kekId}", which AUTH_SIGNING_KEK does not contain`,
    );
  }
  const pkcs8 = unseal(kek, private_enc, kid);
  if (pkcs8 === undefined) {
    throw new StartupError(
      `signing key ${kid} cannot be decrypted: the key "${kekId}" in AUTH_SIGNING_KEK has changed`,
    );
  }
  return createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
}

/** `alg` is the algorithm for new keys, ES256 by default. */
export type KeyParts = Readonly<{ db: AuthDatabase; keks: KeyRing; alg?: SigningAlgorithm }>;

/** Lists all stored keys, oldest first. */
export async function listKeys({ db }: Pick<KeyParts, 'db'>) {
  const { keys, now } = await readSigningKeys(db);
  return keys.map((key) => ({ key, state: lifecycle.keyState(key, keys, now) }));
}

/**
 * Activates the next key as soon as every verifier has had time to fetch it. If it was published at least 25 h ago,
 * that is now.
 *
 * @returns The key and its activation time.
 */
export async function rotateKeys({ db, ...parts }: KeyParts, requestId: string): Promise<{ kid: string; at: Date }> {
  return changeKeys(db, async (trx, { keys, now }) => {
    const next = lifecycle.nextKey(keys, now);
    const knownAtMs = next?.knownAt.getTime() ?? now.getTime() + lifecycle.publishAheadMs;
    const at = new Date(Math.max(now.getTime(), knownAtMs));
    const kid = await takeOver(trx, { ...parts, next: next?.key, at, now });
    const active = lifecycle.activeKey(keys, now);
    if (active !== undefined) await update(trx, 'signing_keys', { kid: active.kid }, lifecycle.retiredAt(at));
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
    await update(trx, 'signing_keys', { kid }, { revoked_at: now });
    const active = lifecycle.activeKey(left, now);
    // Prefers the next key to a retiring key.
    const wasActive = lifecycle.activeKey(keys, now)?.kid === kid;
    const signing =
      wasActive || active === undefined
        ? await takeOver(trx, { ...parts, next: lifecycle.nextKey(left, now)?.key, at: now, now })
        : active.kid;
    await recordForOperator(trx, { action: 'key.revoked', requestId, detail: { kid, signing } });
    await appendRevocations(trx, [{ kind: 'key', kid }]);
    return { signing };
  });
}

/** Encrypts everything with the current master key, so that older master keys can be removed. */
export async function rewrapSecrets(
  { db, keks }: Pick<KeyParts, 'db' | 'keks'>,
  requestId: string,
): Promise<{ signingKeys: number; secondFactors: number; kekId: string }> {
  return changeKeys(db, async (trx, { keys }) => {
    const old = keys.filter(({ kek_id }) => kek_id !== keks.current.id);
    for (const key of old) await update(trx, 'signing_keys', { kid: key.kid }, resealPrivateKey(key, keks));
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
    const { publish_at: _, ...times } = lifecycle.lifeFrom(next.publish_at, at);
    await update(trx, 'signing_keys', { kid: next.kid }, times);
    return next.kid;
  }
  const made = await makeKey(keks, alg);
  await insert(trx, 'signing_keys', { ...made, ...lifecycle.lifeFrom(now, at), revoked_at: null });
  return made.kid;
}
