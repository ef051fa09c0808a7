import { type KeyObject, sign } from 'node:crypto';
import type { Shape } from './shapes.ts';

type Curve = Readonly<{ bytes: number; hash: string; n: bigint; p: bigint }>;

export const p256: Curve = {
  bytes: 32,
  hash: 'sha256',
  n: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  p: 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn,
};
export const p384: Curve = {
  bytes: 48,
  hash: 'sha384',
  n: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  p: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
};
export const p521: Curve = {
  bytes: 66,
  hash: 'sha512',
  n: 0x1fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
  p: 2n ** 521n - 1n,
};

/** Signatures that must be refused: cases from Wycheproof's ECDSA and JSON Web Signature files. */
export function ecdsaShapes(curve: Curve): readonly Shape[] {
  const { bytes, n, p } = curve;
  const made = (name: string, make: (parts: { r: bigint; s: bigint }) => Buffer): Shape => [
    name,
    (input, key) => make(numbersOf(signed(input, key, curve))),
  ];
  const special: readonly (readonly [string, bigint])[] = [
    ['0', 0n],
    ['1', 1n],
    ['n-1', n - 1n],
    ['n', n],
    ['n+1', n + 1n],
    ['p', p],
    ['the largest number', 256n ** BigInt(bytes) - 1n],
  ];
  const fits = (value: bigint) => value < 256n ** BigInt(bytes);
  return [
    ...special.flatMap(([r, rValue]) =>
      special.map(([s, sValue]): Shape => [`r is ${r}, s is ${s}`, () => joined(curve, rValue, sValue)]),
    ),
    ...special.map(([name, value]) => made(`the right r, s is ${name}`, ({ r }) => joined(curve, r, value))),
    ...special.map(([name, value]) => made(`the right s, r is ${name}`, ({ s }) => joined(curve, value, s))),
    made('r and s exchanged', ({ r, s }) => joined(curve, s, r)),
    made('r negated', ({ r, s }) => joined(curve, n - r, s)),
    made('r plus n, a byte longer', ({ r, s }) => Buffer.concat([number(r + n, bytes + 1), number(s, bytes + 1)])),
    made('s plus n, a byte longer', ({ r, s }) => Buffer.concat([number(r, bytes + 1), number(s + n, bytes + 1)])),
    made('r plus n where that fits', ({ r, s }) => joined(curve, fits(r + n) ? r + n : n, s)),
    made('a leading zero in both', ({ r, s }) => Buffer.concat([number(r, bytes + 1), number(s, bytes + 1)])),
    made('r and s of 256 bytes', ({ r, s }) => Buffer.concat([number(r, 256), number(s, 256)])),
    made('a byte more behind', ({ r, s }) => Buffer.concat([joined(curve, r, s), Buffer.alloc(1)])),
    made('a byte more in front', ({ r, s }) => Buffer.concat([Buffer.alloc(1), joined(curve, r, s)])),
    made('a byte short', ({ r, s }) => joined(curve, r, s).subarray(0, -1)),
    made('r alone', ({ r }) => number(r, bytes)),
    made('said twice', ({ r, s }) => Buffer.concat([joined(curve, r, s), joined(curve, r, s)])),
    made('bytes in reverse', ({ r, s }) => joined(curve, r, s).reverse()),
    ['in DER', (input, key) => sign(curve.hash, Buffer.from(input), { key, dsaEncoding: 'der' })],
    ['in DER, of 0 and 0', () => Buffer.from('3006020100020100', 'hex')],
    ['in DER, of infinity', () => Buffer.from('3008090380fe01090142', 'hex')],
    ['over another hash', (input, key) => signed(input, key, { hash: curve === p256 ? 'sha512' : 'sha256' })],
    ['over the payload alone', (input, key) => signed(input.split('.')[1] ?? '', key, curve)],
    ['over the empty string', (_input, key) => signed('', key, curve)],
    ['zeros', () => Buffer.alloc(bytes * 2)],
  ];
}

/** The other valid form of an ECDSA signature, which can be computed without the key. */
export function negated(signature: Buffer, { bytes, n }: Curve): Buffer {
  const { r, s } = numbersOf(signature);
  return Buffer.concat([number(r, bytes), number(n - s, bytes)]);
}

function signed(input: string, key: KeyObject, { hash }: Pick<Curve, 'hash'>): Buffer {
  return sign(hash, Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' });
}

function numbersOf(signature: Buffer): { r: bigint; s: bigint } {
  const half = signature.length / 2;
  return { r: numberOf(signature.subarray(0, half)), s: numberOf(signature.subarray(half)) };
}

const numberOf = (bytes: Buffer) => BigInt(`0x${bytes.toString('hex')}`);

function joined({ bytes }: Curve, r: bigint, s: bigint): Buffer {
  return Buffer.concat([number(r, bytes), number(s, bytes)]);
}

function number(value: bigint, length: number): Buffer {
  return Buffer.from(value.toString(16).padStart(length * 2, '0'), 'hex');
}
