import { createPublicKey, diffieHellman, hkdfSync } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { stripIdentityHeaders } from '../src/adapters/node-request.ts';
import * as library from '../src/index.ts';
import { isExempt } from '../src/verify/exempt.ts';
import { alice, bob, gatewayJwks, hex, pairOf, rawPrivateKey, rawPublic } from './agreed-forge.ts';
import { badPoints, jwkOfPoint } from './agreed-points.ts';
import { makeAgreedVectors, rfc5869, rfc7748 } from './agreed-vectors.ts';
import { agreedVectorFile, agreedVectorsText, expectedOf, type Vector, verdictOf } from './vector-verdict.ts';

const whole = { ...library, isExempt, stripIdentityHeaders };

describe('agreed-vectors.json', () => {
  test.each(agreedVectorFile.vectors.map((vector): [string, Vector] => [vector.name, vector]))(
    '%s',
    async (_name, vector) => {
      expect(await verdictOf(whole, vector, agreedVectorFile)).toEqual(expectedOf(vector));
    },
  );

  test('is up to date: run `npm run vectors -w @countersign/identity`', async () => {
    expect(await makeAgreedVectors()).toBe(agreedVectorsText);
  });

  test('a verifier without a private key refuses every agreed key, and accepts ed25519', async () => {
    const { agreement: _none, ...keys } = agreedVectorFile.keys;
    const verdicts = agreedVectorFile.vectors
      .filter(({ identity }) => identity !== undefined)
      .map(async (vector) => [vector.name, await verdictOf(whole, vector, { ...agreedVectorFile, keys })]);
    const expected = agreedVectorFile.vectors
      .filter(({ identity }) => identity !== undefined)
      .map(({ name, identity }) => [
        name,
        name.startsWith('agreed: ed25519 is accepted too') ? { identity } : { refused: 'key_unknown' },
      ]);
    expect(await Promise.all(verdicts)).toEqual(expected);
  });
});

test.each(rfc7748)('X25519 is that of RFC 7748 $name', ({ scalar, u, result }) => {
  const privateKey = rawPrivateKey(hex(scalar));
  const publicKey = createPublicKey({
    key: { kty: 'OKP', crv: 'X25519', x: hex(u).toString('base64url') },
    format: 'jwk',
  });
  expect(diffieHellman({ privateKey, publicKey }).toString('hex')).toBe(result);
});

test('the keys of RFC 7748 section 6.1 are read and published byte for byte', () => {
  expect(rawPublic(alice).toString('hex')).toBe('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a');
  expect(rawPublic(bob).toString('hex')).toBe('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f');
  expect(library.publicAgreementJwk(pairOf(alice)).x).toBe(alice.x);
});

test.each(rfc5869)('HKDF-SHA-256 is that of RFC 5869 appendix $name', ({ ikm, salt, info, length, okm }) => {
  expect(Buffer.from(hkdfSync('sha256', hex(ikm), hex(salt), hex(info), length)).toString('hex')).toBe(okm);
});

test.each(badPoints)('$name is not used', ({ bytes }) => {
  expect(library.agreementKeysIn({ keys: [jwkOfPoint(bytes)] })).toEqual([]);
});

test('both sides derive the same key', () => {
  const gateway = pairOf(alice);
  const service = { audience: 'orders', key: pairOf(bob) };
  const one = library.agreeAsGateway(gateway, service);
  expect(library.agreeAsService(service, gateway)).toEqual(one);
  expect(one.keyid).toBe(`${alice.kid}.${bob.kid}`);
  expect(one.secret).toHaveLength(32);
});

test('a private key is refused if a member does not fit, and the error reveals nothing about the key', () => {
  const [jwk, other] = gatewayJwks;
  const { d: _none, ...half } = jwk;
  const cases: [string, unknown][] = [
    ['no private half', half],
    ['the private half of another key', { ...jwk, d: other.d }],
    ['the kid of another key', { ...jwk, kid: other.kid }],
    ['a padded private half', { ...jwk, d: `${jwk.d}=` }],
    ['a short private half', { ...jwk, d: jwk.d.slice(1) }],
    ['another curve', { ...jwk, crv: 'Ed25519' }],
    ['nothing', undefined],
  ];
  for (const [what, value] of cases) {
    let message = 'accepted';
    try {
      library.agreementKeyFromJwk(value);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      message = error.message;
    }
    expect([what, message]).toEqual([what, expect.stringContaining('X25519 private JWK')]);
    expect(message).not.toContain(jwk.d);
  }
});

test('a secret cannot take a keyid of an agreed key', () => {
  const keyid = `${alice.kid}.${bob.kid}`;
  expect(() => library.secretGatewayKeys([{ secret: Buffer.alloc(32, 1), keyid }])).toThrow(RangeError);
});

test('a generated key is usable, and its kid does not look like an option', () => {
  for (let count = 0; count < 100; count += 1) {
    const jwk = library.newAgreementJwk();
    expect(jwk.kid).toMatch(/^[A-Za-z0-9_][A-Za-z0-9_-]{42}$/);
    expect(library.agreementKeyFromJwk(jwk).kid).toBe(jwk.kid);
  }
});
