import { createPrivateKey } from 'node:crypto';
import { secretKeyid } from '../src/contract/rfc9421.ts';
import type { SigningKey } from '../src/index.ts';
import { ed25519Jwk, publicJwk, secret } from './forge.ts';

type Entry = Readonly<Record<string, unknown>>;

const privateKey = createPrivateKey({ key: ed25519Jwk, format: 'jwk' });
/** The private key of `ed-1` under another keyid. */
export const edKeyNamed = (keyid: string): SigningKey => ({ algorithm: 'ed25519', keyid, privateKey });
const secretNamed = (what: string) => Buffer.from(`countersign test vectors: ${what}`, 'latin1');
const hmacKeyOf = (bytes: Buffer): SigningKey => ({
  algorithm: 'hmac-sha256',
  keyid: secretKeyid(bytes),
  secret: bytes,
});

const ambiguousSecret = secretNamed('its keyid is in the key set');
const secretBesideRsa = secretNamed('its keyid is that of an RSA key');
const secretBesideUnusable = secretNamed('its keyid is that of an unusable key');
export const secrets = [secret, ambiguousSecret, secretBesideRsa, secretBesideUnusable];
const keyidOfAmbiguous = secretKeyid(ambiguousSecret);

/** A secret whose keyid is also the `kid` of a public key. A verifier must use neither. */
export const ambiguousKeys: readonly SigningKey[] = [hmacKeyOf(ambiguousSecret), edKeyNamed(keyidOfAmbiguous)];

/**
 * RFC 8032 section 7.1, test 2. The key set lists it under the same kid as another key, so a verifier must use neither.
 */
export const secondJwk = {
  kty: 'OKP',
  crv: 'Ed25519',
  x: 'PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw',
  d: 'TM0Imyj_ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U-4pvs',
};
export const duplicateKidKeys: readonly SigningKey[] = [ed25519Jwk, secondJwk].map((key) => ({
  algorithm: 'ed25519',
  keyid: 'ed-twice',
  privateKey: createPrivateKey({ key, format: 'jwk' }),
}));

const { alg: _alg, use: _use, ...plainJwk } = publicJwk;
const { kty, crv, x } = plainJwk;
const rsaJwk = { kty: 'RSA', alg: 'RS256', use: 'sig', n: 'AQAB', e: 'AQAB' };
const x25519Jwk = { kty, crv: 'X25519', use: 'enc', alg: 'countersign-agreed-v1', x: secondJwk.x };

/** Public keys of `ed-1` in every form that a verifier accepts, by the kid of the key set. */
export const usableEntries: Readonly<Record<string, Entry>> = {
  'only-required-members': plainJwk,
  'alg-of-rfc-9864': { ...plainJwk, alg: 'Ed25519' },
  'key-ops-verify': { ...plainJwk, key_ops: ['verify'] },
  'key-ops-sign-and-verify': { ...plainJwk, key_ops: ['sign', 'verify'] },
  'other-members': { ...publicJwk, ext: true, iat: 1, y: 'AA', x5t: '', n: 1 },
  ['k'.repeat(128)]: publicJwk,
  'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~:@|-': publicJwk,
};

/** The same key in forms that a verifier ignores. */
export const unusableEntries: Readonly<Record<string, Entry>> = {
  'use-enc': { ...publicJwk, use: 'enc' },
  'use-in-upper-case': { ...publicJwk, use: 'SIG' },
  'use-list': { ...publicJwk, use: ['sig'] },
  'key-ops-sign': { ...publicJwk, key_ops: ['sign'] },
  'key-ops-empty': { ...publicJwk, key_ops: [] },
  'key-ops-text': { ...publicJwk, key_ops: 'verify' },
  'alg-of-http-signatures': { ...publicJwk, alg: 'ed25519' },
  'alg-es256': { ...publicJwk, alg: 'ES256' },
  'alg-hs256': { ...publicJwk, alg: 'HS256' },
  'alg-for-agreement': { ...publicJwk, alg: 'countersign-agreed-v1' },
  'alg-list': { ...publicJwk, alg: ['EdDSA'] },
  'kty-absent': { crv, x },
  'kty-ec': { ...publicJwk, kty: 'EC' },
  'kty-in-lower-case': { ...publicJwk, kty: 'okp' },
  'kty-list': { ...publicJwk, kty: ['OKP'] },
  'crv-absent': { kty, x },
  'crv-list': { ...publicJwk, crv: ['Ed25519'] },
  'crv-x25519': { ...publicJwk, crv: 'X25519' },
  'crv-ed448': { ...publicJwk, crv: 'Ed448' },
  'crv-in-lower-case': { ...publicJwk, crv: 'ed25519' },
  'x-absent': { kty, crv },
  'x-number': { ...publicJwk, x: 9 },
  'x-padded': { ...publicJwk, x: `${x}=` },
  'x-in-base64': { ...publicJwk, x: x.replaceAll('_', '/') },
  'x-with-a-line-feed': { ...publicJwk, x: `${x}\n` },
  'x-with-an-unused-bit': { ...publicJwk, x: x.replace(/o$/, 'p') },
  'x-of-31-bytes': { ...publicJwk, x: Buffer.from(x, 'base64url').subarray(0, 31).toString('base64url') },
  'x-of-33-bytes': { ...publicJwk, x: `${x}A` },
  'private-d': { ...publicJwk, d: ed25519Jwk.d },
  ...Object.fromEntries(
    ['p', 'q', 'dp', 'dq', 'qi', 'k'].map((member) => [`private-${member}`, { ...publicJwk, [member]: 'AA' }]),
  ),
  'private-oth': { ...publicJwk, oth: [] },
  // The form of agreed keys.
  [`${'g'.repeat(43)}.${'s'.repeat(43)}`]: publicJwk,
};

/** Entries that have the same kid as a good entry of `ed-1`. */
export const besideGood: Readonly<Record<string, Entry>> = {
  'same-kid-rsa': rsaJwk,
  'same-kid-x25519': x25519Jwk,
  'same-kid-ec': { kty: 'EC', crv: 'P-256', alg: 'ES256', x, y: x },
  'same-kid-oct': { kty: 'oct', alg: 'HS256', k: 'AA' },
  'same-kid-unusable': { ...publicJwk, use: 'enc' },
  'same-kid-of-no-type': {},
};

/**
 * Every encoding of a point of order 1, 2, 4 or 8 (libsodium's list, with and without the top bit). Under such a public key,
 * signatures can be forged without a private key.
 */
export const smallOrderPoints: readonly Buffer[] = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
].flatMap((hex) => {
  const [low, high] = [Buffer.from(hex, 'hex'), Buffer.from(hex, 'hex')];
  high.writeUInt8(high.readUInt8(31) | 0x80, 31);
  return [low, high];
});

const named = (entries: Readonly<Record<string, Entry>>) =>
  Object.entries(entries).map(([kid, entry]) => ({ ...entry, kid }));

/** A secret and an entry with its keyid, neither of which a verifier may use. */
export const keysBesideSecrets: Readonly<Record<string, SigningKey>> = {
  'a secret with the kid of an RSA key': hmacKeyOf(secretBesideRsa),
  'a secret with the kid of an unusable ed25519 key': hmacKeyOf(secretBesideUnusable),
  'an unusable ed25519 key with the keyid of a secret': edKeyNamed(secretKeyid(secretBesideUnusable)),
};

const { kid: _kid, ...namelessJwk } = publicJwk;

/** The gateway's key set: keys that a verifier uses, and entries that it must ignore. */
export const jwks = {
  keys: [
    publicJwk,
    ...[ed25519Jwk.x, secondJwk.x].map((point) => ({ ...publicJwk, x: point, kid: 'ed-twice' })),
    { ...publicJwk, kid: keyidOfAmbiguous },
    ...named(usableEntries),
    ...named(unusableEntries),
    ...named(besideGood),
    ...Object.keys(besideGood).map((kid) => ({ ...publicJwk, kid })),
    { ...rsaJwk, kid: secretKeyid(secretBesideRsa) },
    { ...publicJwk, use: 'enc', kid: secretKeyid(secretBesideUnusable) },
    ...smallOrderPoints.map((point, index) => ({
      ...publicJwk,
      x: point.toString('base64url'),
      kid: `small-order-${index + 1}`,
    })),
    namelessJwk,
    { ...publicJwk, kid: 7 },
  ],
};

/** Private keys of two services. They are public, so they are useless in production. */
export const callingServices = [
  { service_id: 'complaint-service', jwk: { ...ed25519Jwk, kid: 'vectors-complaint-1' } },
  { service_id: 'users-service', jwk: { ...secondJwk, kid: 'vectors-users-1' } },
];
