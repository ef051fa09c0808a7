import { constants, createHash, type KeyObject, privateEncrypt, sign } from 'node:crypto';
import type { Shape } from './shapes.ts';

const pkcs1 = (input: string, key: KeyObject, hash = 'sha256') => sign(hash, Buffer.from(input), key);

const pss = (input: string, key: KeyObject, saltLength: number, hash = 'sha256') =>
  sign(hash, Buffer.from(input), { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength });

const lengthOf = (key: KeyObject) => (key.asymmetricKeyDetails?.modulusLength ?? 0) / 8;

function modulusOf(key: KeyObject): bigint {
  return BigInt(`0x${Buffer.from(key.export({ format: 'jwk' }).n ?? '', 'base64url').toString('hex')}`);
}

const numberOf = (bytes: Buffer) => BigInt(`0x${bytes.toString('hex')}`);

function number(value: bigint): Buffer {
  const hex = value.toString(16);
  return Buffer.from(hex.length % 2 === 1 ? `0${hex}` : hex, 'hex');
}

/** Signatures that are invalid with either padding. */
const both = (signed: (input: string, key: KeyObject) => Buffer): readonly Shape[] => [
  ['0', (_input, key) => Buffer.alloc(lengthOf(key))],
  ['1', (_input, key) => Buffer.from(`${'00'.repeat(lengthOf(key) - 1)}01`, 'hex')],
  ['the modulus', (_input, key) => number(modulusOf(key))],
  ['the modulus less 1', (_input, key) => number(modulusOf(key) - 1n)],
  ['the right one plus the modulus', (input, key) => number(numberOf(signed(input, key)) + modulusOf(key))],
  ['the modulus less the right one', (input, key) => number(modulusOf(key) - numberOf(signed(input, key)))],
  ['a zero in front', (input, key) => Buffer.concat([Buffer.alloc(1), signed(input, key)])],
  ['a zero behind', (input, key) => Buffer.concat([signed(input, key), Buffer.alloc(1)])],
  ['a byte short', (input, key) => signed(input, key).subarray(1)],
  ['a byte', () => Buffer.alloc(1)],
  ['bytes in reverse', (input, key) => signed(input, key).reverse()],
  ['over the payload alone', (input, key) => signed(input.split('.')[1] ?? '', key)],
];

const sha256Info = '3031300d060960864801650304020105000420';
type Padding = (digest: string, length: number) => string;

/** `00 01 ff.. 00` and the given bytes, as long as the modulus. */
const padded = (rest: string, length: number, { start = '0001', fill = 'ff', end = '00' } = {}) =>
  start + fill.repeat(length - (start.length + end.length + rest.length) / 2) + end + rest;

/**
 * Cases that Wycheproof's JSON Web Signature and RSA files call ModifiedPadding, or the operations that produce them.
 */
const paddings: Record<string, Padding> = {
  'without NULL': (digest, length) => padded(`302f300b0609608648016503040201${'0420'}${digest}`, length),
  'NULL with a long length': (digest, length) => padded(`3032300e06096086480165030402010581000420${digest}`, length),
  'NULL with a byte in it': (digest, length) =>
    padded(`3032300e0609608648016503040201050100${'0420'}${digest}`, length),
  'a parameter in place of NULL': (digest, length) => padded(`3031300d060960864801650304020104000420${digest}`, length),
  'the outer sequence with a long length': (digest, length) =>
    padded(`308131300d060960864801650304020105000420${digest}`, length),
  'the inner sequence with a long length': (digest, length) =>
    padded(`303230810d060960864801650304020105000420${digest}`, length),
  'an indefinite length': (digest, length) => padded(`3080300d060960864801650304020105000420${digest}0000`, length),
  'the digest with a long length': (digest, length) =>
    padded(`3032300d06096086480165030402010500048120${digest}`, length),
  'the digest in pieces': (digest, length) =>
    padded(`3035300d060960864801650304020105002424${'0410'}${digest.slice(0, 32)}0410${digest.slice(32)}`, length),
  'the name of SHA-1': (digest, length) => padded(`302d300906052b0e03021a05000420${digest}`, length),
  'the name of SHA-512': (digest, length) => padded(`3031300d060960864801650304020305000420${digest}`, length),
  'the name of no hash': (digest, length) => padded(`3031300d060960864801650304020f05000420${digest}`, length),
  'a cut digest': (digest, length) => padded(`3030300d06096086480165030402010500041f${digest.slice(2)}`, length),
  'an empty digest': (_digest, length) => padded('3011300d060960864801650304020105000400', length),
  'nothing but the digest': (digest, length) => padded(digest, length),
  nothing: (_digest, length) => padded('', length),
  'bytes behind the digest, little padding': (digest, length) => {
    const head = `0001${'ff'.repeat(8)}00${sha256Info}${digest}`;
    return head + '00'.repeat(length - head.length / 2);
  },
  'bytes behind the digest, inside the sequence': (digest, length) =>
    padded(`3033300d060960864801650304020105000420${digest}0500`, length),
  'bytes behind the sequence': (digest, length) => padded(`${sha256Info}${digest}0500`, length),
  'bytes hidden in the parameters': (digest, length) =>
    padded(`3081b230818d060960864801650304020104${'817f'}${'00'.repeat(127)}0420${digest}`, length),
  'seven bytes of padding': (digest, length) => {
    const head = `0001${'ff'.repeat(7)}00${sha256Info}${digest}`;
    return head + 'ff'.repeat(length - head.length / 2);
  },
  'a zero in the padding': (digest, length) => {
    const good = padded(sha256Info + digest, length);
    return `${good.slice(0, 40)}00${good.slice(42)}`;
  },
  'another byte in the padding': (digest, length) => {
    const good = padded(sha256Info + digest, length);
    return `${good.slice(0, 40)}fe${good.slice(42)}`;
  },
  'zeros for padding': (digest, length) => padded(sha256Info + digest, length, { fill: '00' }),
  'no zero after the padding': (digest, length) => padded(sha256Info + digest, length, { end: 'ff' }),
  'block type 0': (digest, length) => padded(sha256Info + digest, length, { start: '0000' }),
  'block type 2': (digest, length) => padded(sha256Info + digest, length, { start: '0002' }),
  'a leading byte that is not 0': (digest, length) => padded(sha256Info + digest, length, { start: '0101' }),
};

const modifiedPadding = Object.entries(paddings).map(
  ([name, padding]): Shape => [
    name,
    (input, key) => {
      const digest = createHash('sha256').update(input).digest('hex');
      const block = Buffer.from(padding(digest, lengthOf(key)), 'hex');
      return privateEncrypt({ key, padding: constants.RSA_NO_PADDING }, block);
    },
  ],
);

/** The padded message of RS256, as long as the modulus. Unsigned, it is a valid signature for a key with e = 1. */
export function wellPaddedBlock(input: string, length: number): Buffer {
  const digest = createHash('sha256').update(input).digest('hex');
  return Buffer.from(padded(sha256Info + digest, length), 'hex');
}

/** A signature with correct padding, made the same way: shows that the others are refused for their padding. */
export function wellPadded(input: string, key: KeyObject): Buffer {
  return privateEncrypt({ key, padding: constants.RSA_NO_PADDING }, wellPaddedBlock(input, lengthOf(key)));
}

export const rs256Shapes: readonly Shape[] = [
  ...both(pkcs1),
  ...modifiedPadding,
  ['with the padding of PSS', (input, key) => pss(input, key, 32)],
  ['over SHA-1', (input, key) => pkcs1(input, key, 'sha1')],
  ['over SHA-512', (input, key) => pkcs1(input, key, 'sha512')],
];

export const ps256Shapes: readonly Shape[] = [
  ...both((input, key) => pss(input, key, 32)),
  ...[0, 1, 20, 31, 33, 64].map((salt): Shape => [`a salt of ${salt} bytes`, (input, key) => pss(input, key, salt)]),
  ['the longest salt', (input, key) => pss(input, key, constants.RSA_PSS_SALTLEN_MAX_SIGN)],
  ['with the padding of PKCS #1', (input, key) => pkcs1(input, key)],
  ['over SHA-512', (input, key) => pss(input, key, 32, 'sha512')],
  ['over SHA-1', (input, key) => pss(input, key, 20, 'sha1')],
];
