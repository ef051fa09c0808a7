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
