import { createHash, createPrivateKey, generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { StartupError } from '@countersign/service-kit';
import { calculateJwkThumbprint, type JWK } from 'jose';
import type { KeyRing } from '../../domain/keys/key-ring.ts';
import { seal, unseal } from '../../domain/keys/sealing.ts';
import { activeKey, dueKey, publishedKeys } from '../../domain/keys/signing-key-lifecycle.ts';
import type { SigningAlgorithm } from '../../domain/sessions/access-token.ts';
import { AppError } from '../../errors.ts';
import type { AuthDatabase } from '../../store/database.ts';
import { changeKeys, insertKey, type KeysNow, readSigningKeys, type StoredKey } from '../../store/keys/signing-keys.ts';

export type PublishedKeySet = Readonly<{ body: string; etag: string }>;

export type SigningKey = Readonly<{ kid: string; alg: string; privateKey: KeyObject }>;

export type SigningKeys = Readonly<{
  /** @throws AppError `unavailable` if there is no signing key. */
  current(): SigningKey;
  published(): PublishedKeySet;
  /** Reloads the keys, and creates the next key when it is due. After a failure the loaded keys stay in use. */
  refresh(): Promise<void>;
  readonly ready: boolean;
}>;

type Held = Readonly<{ signing: SigningKey | undefined; published: PublishedKeySet }>;

/**
 * Loads the signing keys, or creates the first key.
 *
 * @param alg The algorithm for new keys.
 * @throws StartupError if AUTH_SIGNING_KEK cannot decrypt a key in the database. With a new signing key, issued tokens
 *   could no longer be verified.
 */
export async function openSigningKeys(db: AuthDatabase, keks: KeyRing, alg?: SigningAlgorithm): Promise<SigningKeys> {
  const load = async (): Promise<Held> => hold(await currentKeys(db, keks, alg), keks);
  let held = await load();
  return {
    current() {
      if (held.signing === undefined) throw new AppError('unavailable', { detail: { reason: 'no signing key' } });
      return held.signing;
    },
    published: () => held.published,
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
  if (dueKey(found.keys, found.now) === undefined) return found;
  // Under the lock, instances that start together do not create several keys.
  return changeKeys(db, async (trx, { keys, now }) => {
    // Decrypts all existing keys first, so that a wrong master key never leads to a new signing key.
    for (const key of keys) openPrivateKey(key, keks);
    const times = dueKey(keys, now);
    if (times === undefined) return { keys, now };
    const key = { ...(await makeKey(keks, alg)), ...times, revoked_at: null };
    await insertKey(trx, key);
    return { keys: [...keys, key], now };
  });
}

function hold({ keys, now }: KeysNow, keks: KeyRing): Held {
  const opened = new Map(keys.map((key) => [key.kid, openPrivateKey(key, keks)]));
  const active = activeKey(keys, now);
  const privateKey = active && opened.get(active.kid);
  const body = JSON.stringify({
    keys: publishedKeys(keys, now).map((key) => JSON.parse(key.public_jwk) as unknown),
  });
  return {
    signing: active && privateKey && { kid: active.kid, alg: active.alg, privateKey },
    published: { body, etag: `"${createHash('sha256').update(body).digest('base64url')}"` },
  };
}

/** Creates an encrypted key with these timestamps. */
export async function makeKey(keks: KeyRing, alg: SigningAlgorithm = 'ES256') {
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
export function resealPrivateKey(key: StoredKey, keks: KeyRing) {
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
