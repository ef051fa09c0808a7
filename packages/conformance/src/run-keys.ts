import {
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  verify,
} from 'node:crypto';
import { readVectors } from './vectors.ts';

/** Signs like one key of the vectors, with a key of this run. */
type Signer = Readonly<{
  /** Whether the vectors' key made this signature. */
  made(base: string, signature: Buffer): boolean;
  sign(base: string): Buffer;
}>;

export type RunKeys = ReturnType<typeof createRunKeys>;

/**
 * Creates the keys of one run, because a verifier refuses the published keys of the vectors. Replaces the vectors'
 * public key in their key set, and renames every entry. The set keeps its unusable entries: a verifier must ignore
 * them.
 */
export function createRunKeys() {
  const {
    jwks: { keys },
    private: secretKeys,
  } = readVectors().keys;
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const run = randomBytes(6).toString('hex');
  const published = createPublicKey({ key: keys.find(({ kid }) => kid === 'ed-1') ?? {}, format: 'jwk' });
  const { x: publishedX } = published.export({ format: 'jwk' });
  const { x } = publicKey.export({ format: 'jwk' });
  const kids = new Set(keys.map(({ kid }) => kid).filter((kid) => typeof kid === 'string'));
  // The name of a key in this run. One in another form is what makes its entry unusable, so it stays.
  const kidOf = (kid: string) => {
    if (!kids.has(kid) || !/^[\w.~:@|-]{1,128}$/.test(kid)) return kid;
    return `${kid.length < 16 ? `${kid}-` : kid.slice(0, -run.length)}${run}`;
  };
  const signers: readonly Signer[] = [
    {
      made: (base, signature) => verify(null, Buffer.from(base, 'latin1'), published, signature),
      sign: (base) => sign(null, Buffer.from(base, 'latin1'), privateKey),
    },
    ...publicBytes.map((bytesOf) => {
      const mac = (key: KeyObject, base: string) => createHmac('sha256', bytesOf(key)).update(base, 'latin1').digest();
      return {
        made: (base: string, signature: Buffer) => mac(published, base).equals(signature),
        sign: (base: string) => mac(publicKey, base),
      };
    }),
  ];
  const entry = { kty: 'OKP', crv: 'Ed25519', alg: 'EdDSA', use: 'sig' };
  const renamed = keys.map((key) => ({
    ...key,
    ...(typeof key.kid === 'string' && { kid: kidOf(key.kid) }),
    ...(key.x === publishedX && { x }),
  }));
  const [ofVectors] = secretKeys;
  return {
    jwks: { keys: [...renamed, { ...entry, kid: `published-${run}`, x: publishedX }, { ...entry, kid: 'ed-1', x }] },
    kidOf,
    signers,
    /** Keys of the set that a verifier must ignore: a published key, and a key with a published name. */
    published: [
      {
        kid: `published-${run}`,
        sign: (base: string) => sign(null, Buffer.from(base, 'latin1'), { key: ofVectors ?? {}, format: 'jwk' }),
      },
      { kid: 'ed-1', sign: undefined },
    ],
  };
}

/** Forms of the public key that a confused verifier uses as an HMAC secret. */
const publicBytes: readonly ((key: KeyObject) => string | Buffer)[] = [
  (key) => Buffer.from(key.export({ format: 'jwk' }).x ?? '', 'base64url'),
  (key) => key.export({ format: 'der', type: 'spki' }) as Buffer,
  (key) => key.export({ format: 'pem', type: 'spki' }) as string,
];
