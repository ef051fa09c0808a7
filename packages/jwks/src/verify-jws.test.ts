import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { CompactSign } from 'jose';
import { verifyJws } from './verify-jws.ts';

type Pair = Readonly<{ publicKey: KeyObject; privateKey: KeyObject }>;
const ec = (namedCurve: string): Pair => generateKeyPairSync('ec', { namedCurve });
const rsa: Pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ed25519: Pair = generateKeyPairSync('ed25519');
const p256 = ec('P-256');
const pairs: readonly (readonly [string, Pair])[] = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'].map((alg) => [alg, rsa] as const),
  ['ES256', p256],
  ['ES384', ec('P-384')],
  ['ES512', ec('P-521')],
  ['EdDSA', ed25519],
  ['Ed25519', ed25519],
];

const tokenOf = (alg: string, key: KeyObject) =>
  new CompactSign(Buffer.from('{"sub":"u1"}')).setProtectedHeader({ alg }).sign(key);

test.each(pairs)('%s: verifies what jose signed, and nothing that was changed', async (alg, pair) => {
  const token = await tokenOf(alg, pair.privateKey);
  expect(verifyJws(token, pair.publicKey, alg)).toBe(true);
  const [header = '', payload = '', signature = ''] = token.split('.');
  const flipped = Buffer.from(signature, 'base64url');
  flipped[0] = (flipped[0] ?? 0) ^ 1;
  const other = Buffer.from('{"sub":"u2"}').toString('base64url');
  for (const changed of [
    `${header}.${other}.${signature}`,
    `${header}.${payload}.${flipped.toString('base64url')}`,
    `${header}.${payload}.${signature.slice(0, -4)}`,
    `${header}.${payload}.`,
  ]) {
    expect(verifyJws(changed, pair.publicKey, alg)).toBe(false);
  }
});

test('a signature verifies under its own algorithm only', async () => {
  for (const [signedWith, pair] of pairs) {
    const token = await tokenOf(signedWith, pair.privateKey);
    const accepted = [...pairs.map(([alg]) => alg), 'none', 'HS256', 'constructor', ''].filter((alg) =>
      verifyJws(token, pair.publicKey, alg),
    );
    expect(accepted).toEqual(pair === ed25519 ? ['EdDSA', 'Ed25519'] : [signedWith]);
  }
});

test.each([
  ['in DER', (signed: Buffer) => sign('sha256', signed, p256.privateKey)],
  ['of zeros', () => Buffer.alloc(64)],
  [
    'longer than the curve allows',
    (signed: Buffer) =>
      Buffer.concat([sign('sha256', signed, { key: p256.privateKey, dsaEncoding: 'ieee-p1363' }), Buffer.alloc(2)]),
  ],
])('refuses an ECDSA signature %s', async (_case, signatureOf) => {
  const [header = '', payload = ''] = (await tokenOf('ES256', p256.privateKey)).split('.');
  const signature = signatureOf(Buffer.from(`${header}.${payload}`));
  expect(verifyJws(`${header}.${payload}.${signature.toString('base64url')}`, p256.publicKey, 'ES256')).toBe(false);
});

/** Signs until the signature begins with a zero byte: one signature of 256 does. */
async function tokenWithZero(alg: string, key: KeyObject): Promise<readonly [string, Buffer]> {
  for (let attempt = 0; ; attempt += 1) {
    const signing = new CompactSign(Buffer.from(`{"sub":"u${attempt}"}`)).setProtectedHeader({ alg });
    const token = await signing.sign(key);
    const signature = Buffer.from(token.slice(token.lastIndexOf('.') + 1), 'base64url');
    if (signature[0] === 0) return [token.slice(0, token.lastIndexOf('.')), signature];
  }
}

test.each(pairs)(
  '%s: verifies a signature that begins with a zero byte, at its exact length only',
  async (alg, pair) => {
    const [signed, signature] = await tokenWithZero(alg, pair.privateKey);
    const verifies = (bytes: Buffer) => verifyJws(`${signed}.${bytes.toString('base64url')}`, pair.publicKey, alg);
    expect(verifies(signature)).toBe(true);
    const withoutZeros = signature.subarray(signature.findIndex((byte) => byte !== 0));
    for (const other of [
      signature.subarray(1),
      withoutZeros,
      signature.subarray(0, -1),
      Buffer.concat([Buffer.alloc(1), signature]),
      Buffer.concat([signature, Buffer.alloc(1)]),
      Buffer.concat([Buffer.alloc(8), signature]),
      Buffer.alloc(0),
    ]) {
      expect([other.length, verifies(other)]).toEqual([other.length, false]);
    }
  },
);

test('refuses a signature that is not canonical base64url', async () => {
  const token = await tokenOf('PS256', rsa.privateKey);
  const last = token.at(-1) ?? '';
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  // 256 bytes leave four unused bits, so the next character is the same bytes.
  const unused = `${token.slice(0, -1)}${alphabet[alphabet.indexOf(last) ^ 1]}`;
  expect(Buffer.from(unused.slice(-2), 'base64url')).toEqual(Buffer.from(token.slice(-2), 'base64url'));
  for (const text of [unused, `${token}=`, `${token}==`, `${token} `, `${token}\n`, `${token}\u00a0`]) {
    expect([text, verifyJws(text, rsa.publicKey, 'PS256')]).toEqual([text, false]);
  }
});

test.each([2052, 2056, 3072])('a signature with a modulus of %i bits is as long as the modulus', async (bits) => {
  const pair = generateKeyPairSync('rsa', { modulusLength: bits });
  const [signed, signature] = (await tokenOf('PS256', pair.privateKey)).split(/\.(?=[^.]*$)/);
  expect(Buffer.from(signature ?? '', 'base64url')).toHaveLength(Math.ceil(bits / 8));
  expect(verifyJws(`${signed}.${signature}`, pair.publicKey, 'PS256')).toBe(true);
});
