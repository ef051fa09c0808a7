import { createHash } from 'node:crypto';
import { signBase } from '../src/contract/rfc9421.ts';
import type { SigningKey } from '../src/index.ts';
import { ed25519Jwk, edKey, forged, genuine, type Message, nonce, standardParams } from './forge.ts';
import {
  besideGood,
  edKeyNamed,
  keysBesideSecrets,
  smallOrderPoints,
  unusableEntries,
  usableEntries,
} from './key-set.ts';
import { get, params, type Refused, type VectorCase } from './vector-parts.ts';

/** RFC 8032 section 5.1: the order of the base point. */
const order = 2n ** 252n + 27742317777372353535851937790883648493n;
const numberOf = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
const bytesOf = (value: bigint) => Buffer.from(value.toString(16).padStart(64, '0'), 'hex').reverse();
const sha512 = (...parts: Uint8Array[]) => createHash('sha512').update(Buffer.concat(parts)).digest();

const pointOf = Buffer.from(ed25519Jwk.x, 'base64url');
/** RFC 8032 section 5.1.5: the number whose multiple of the base point is the public key. */
const scalarOf = (() => {
  const bytes = sha512(Buffer.from(ed25519Jwk.d, 'base64url')).subarray(0, 32);
  bytes.writeUInt8(bytes.readUInt8(0) & 0xf8, 0);
  bytes.writeUInt8((bytes.readUInt8(31) & 0x7f) | 0x40, 31);
  return numberOf(bytes);
})();

/**
 * A point and its number form a signature if the hash is a multiple of 8, because a public key of small order then has
 * no effect.
 */
const forgedSignature = Buffer.concat([pointOf, bytesOf(scalarOf % order)]);

/** A request that a verifier accepts if it uses this public key. One nonce in eight works. */
function underSmallOrder(point: Buffer, keyid: string): Message {
  for (let count = 10; ; count += 1) {
    let isForged = false;
    const message = forged(get(), {
      params: standardParams({ keyid, nonce: `${nonce.slice(0, -2)}${count}` }),
      sign(base) {
        isForged = (numberOf(sha512(pointOf, point, Buffer.from(base, 'latin1'))) % order) % 8n === 0n;
        return forgedSignature;
      },
    });
    if (isForged) return message;
  }
}

const resigned = (change: (good: Buffer) => Buffer) => forged(get(), { sign: (base) => change(signBase(edKey, base)) });
/** RFC 8032 calls the second half of a signature S. */
const withS = (change: (value: bigint) => bigint) =>
  resigned((good) => Buffer.concat([good.subarray(0, 32), bytesOf(change(numberOf(good.subarray(32))))]));

const under = (key: SigningKey) => genuine({ key });
const cases = (kids: readonly string[], what: string) =>
  Object.fromEntries(kids.map((kid) => [`${what}: ${kid}`, under(edKeyNamed(kid))]));

/** The keys in the key set that a verifier uses. */
export const keyAccepted: readonly VectorCase[] = Object.keys(usableEntries).map((kid) => ({
  name: `a key of the key set: ${kid.length > 40 ? `a kid of ${kid.length} characters` : kid}`,
  message: under(edKeyNamed(kid)),
}));

export const keyRefused: Refused = {
  key_unknown: {
    ...cases(Object.keys(unusableEntries), 'an entry that is no key'),
    ...cases(Object.keys(besideGood), 'a kid that another entry has'),
    ...Object.fromEntries(Object.entries(keysBesideSecrets).map(([name, key]) => [name, under(key)])),
    ...Object.fromEntries(
      smallOrderPoints.map((point, index) => {
        const name = `a public key of small order (${index + 1} of ${smallOrderPoints.length})`;
        return [name, underSmallOrder(point, `small-order-${index + 1}`)];
      }),
    ),
    'a kid that is a number': under(edKeyNamed('7')),
    'a keyid that is a member of every JavaScript object': params({ keyid: 'constructor' }),
    'the keyid __proto__': params({ keyid: '__proto__' }),
  },
  signature_invalid: {
    'S plus the order': withS((value) => value + order),
    'S with its top bit set': withS((value) => value + 2n ** 255n),
    'R with its top bit changed': resigned((good) => {
      good.writeUInt8(good.readUInt8(31) ^ 0x80, 31);
      return good;
    }),
    '64 zero bytes': resigned(() => Buffer.alloc(64)),
  },
};
