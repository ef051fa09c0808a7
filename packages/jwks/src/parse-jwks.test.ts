import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ed25519, es256, rsa } from '../test/make-keys.ts';
import { parseJwks } from './parse-jwks.ts';

const all = ['ES256', 'ES384', 'ES512', 'EdDSA', 'RS256'];
const good = es256('k');
const point = ed25519('k');
// Made by gateway/test/kit/roca-key.ts, which discarded the primes.
const rocaModulus =
  'm09lpLycRMOXSeC16mIVXyFafViq-TjB3JRLK5vHy6BVYZhDqG3tEP2b7rcv_ixu-mU0DOE3rSdg1bv3ssh8eCz_ZL5BToyzeV7KdLvFZTZG7-juHPT4xg5thHFyjWhkI-EhhtNnHLY17LQ8gaPba1GTpdY-AGWXsyNjeGzRqDKrCAXS7BdFQek3NlzDW5fA7qZHHgUzef764GWkmGiZ_rP393rbqovEExCi5ufpqWRxFuSkTY9WGb2yg_-qToW5YNcF2jx1VQ_Nl-my33z9UwCqFPdNWz7ymtPrwB6-DN2hrbg8rAVFvLAywk4rGqqc2zJYOgYsJa6X4wK4YXqqiQ';

function verdict(entry: unknown, algorithms = all): string {
  const parsed = parseJwks({ keys: [entry] }, algorithms);
  return parsed?.ignored[0]?.reason ?? [...(parsed?.keys.keys() ?? [])].join();
}

describe('one key', () => {
  test.each<[string, unknown, string]>([
    ['a P-256 key', good, 'ES256 k'],
    ['a P-256 key without alg', { ...good, alg: undefined }, 'ES256 k'],
    ['an ed25519 key under the name of RFC 8037', point, 'EdDSA k'],
    ['an ed25519 key under the name of RFC 9864', { ...point, alg: 'Ed25519' }, 'EdDSA k'],
    ['a 2048-bit RSA key', rsa('k', 2048), 'RS256 k'],
    ['an RSA key without alg, if one RSA algorithm is allowed', { ...rsa('k', 2048), alg: undefined }, 'RS256 k'],
    ['a key for verifying', { ...good, use: undefined, key_ops: ['verify'] }, 'ES256 k'],
    ['a string', 'k', 'malformed'],
    ['null', null, 'malformed'],
    ['no kid', { ...good, kid: undefined }, 'kid_missing'],
    ['an empty kid', { ...good, kid: '' }, 'kid_missing'],
    ['a kid that is a number', { ...good, kid: 7 }, 'kid_missing'],
    ['a kid with a space', { ...good, kid: 'a b' }, 'kid_missing'],
    ['a kid with a non-ASCII character', { ...good, kid: 'clé' }, 'kid_missing'],
    ['a kid of 257 characters', { ...good, kid: 'k'.repeat(257) }, 'kid_missing'],
    ['a kid of 256 characters', { ...good, kid: 'k'.repeat(256) }, `ES256 ${'k'.repeat(256)}`],
    ['an oct key', { kty: 'oct', k: 'c2VjcmV0', kid: 'k', alg: 'HS256' }, 'symmetric'],
    ['a private key', { ...good, d: good.x }, 'private'],
    ['an RSA key with a prime', { ...rsa('k', 2048), p: 'AQAB' }, 'private'],
    ['use: enc', { ...good, use: 'enc' }, 'not_for_signatures'],
    ['use: sig twice', { ...good, use: ['sig'] }, 'not_for_signatures'],
    ['key_ops for wrapping', { ...good, key_ops: ['wrapKey'] }, 'not_for_signatures'],
    ['a 1024-bit RSA key', rsa('k', 1024), 'weak'],
    ['a 2040-bit RSA key', rsa('k', 2040), 'weak'],
    ['e = 1', rsa('k', 2048, 'AQ'), 'weak'],
    ['e = 2', rsa('k', 2048, 'Ag'), 'weak'],
    ['a modulus from the library with CVE-2017-15361', { ...rsa('k', 2048), n: rocaModulus }, 'weak'],
    ['the neutral point', { ...point, x: 'AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' }, 'weak'],
    ['a point of order 4', { ...point, x: 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' }, 'weak'],
    ['a P-256 key that says ES384', { ...good, alg: 'ES384' }, 'algorithm_mismatch'],
    ['a P-256 key that says RS256', { ...good, alg: 'RS256' }, 'algorithm_mismatch'],
    ['a P-256 key that says HS256', { ...good, alg: 'HS256' }, 'algorithm_mismatch'],
    ['a P-256 key that says none', { ...good, alg: 'none' }, 'algorithm_mismatch'],
    ['a P-256 key that claims to be P-384', { ...good, crv: 'P-384', alg: 'ES384' }, 'malformed'],
    ['an RSA key that says ES256', { ...rsa('k', 2048), alg: 'ES256' }, 'algorithm_mismatch'],
    ['EC with an Edwards curve', { ...point, kty: 'EC' }, 'algorithm_mismatch'],
    ['alg that is a list', { ...good, alg: ['ES256'] }, 'malformed'],
    ['an encryption algorithm', { ...rsa('k', 2048), alg: 'RSA-OAEP' }, 'algorithm_mismatch'],
    ['secp256k1', { ...good, crv: 'secp256k1', alg: 'ES256K' }, 'algorithm_not_allowed'],
    ['X25519', { ...point, crv: 'X25519' }, 'algorithm_not_allowed'],
    ['crv from the prototype', { ...good, crv: 'constructor' }, 'algorithm_not_allowed'],
    ['an unknown kty', { ...good, kty: 'XYZ' }, 'algorithm_mismatch'],
    ['a point that is not on its curve', { ...good, y: good.x }, 'malformed'],
    ['a coordinate that is too short', { ...good, x: String(good.x).slice(0, -2) }, 'malformed'],
    ['a coordinate in base64 with padding', { ...good, x: `${String(good.x)}=` }, 'malformed'],
    ['no y', { ...good, y: undefined }, 'malformed'],
    ['a 16384-bit RSA modulus', rsa('k', 16_384), 'malformed'],
    ['a large exponent', rsa('k', 2048, 'AQAAAAAAAAAAAAAA'), 'malformed'],
  ])('judges %s', (_name, entry, expected) => {
    expect(verdict(entry)).toBe(expected);
  });

  test('refuses a valid key with an algorithm that is not allowed', () => {
    expect(verdict(good, ['RS256'])).toBe('algorithm_not_allowed');
    expect(verdict({ ...rsa('k', 2048), alg: undefined }, ['ES256'])).toBe('algorithm_not_allowed');
  });

  test('refuses an RSA key without alg if several RSA algorithms are allowed', () => {
    expect(verdict({ ...rsa('k', 2048), alg: undefined }, ['RS256', 'PS256'])).toBe('algorithm_ambiguous');
  });
});

test('uses no key with a duplicate kid, even if only one of them is usable', () => {
  const parsed = parseJwks({ keys: [good, { ...good, use: 'enc' }, es256('other')] }, all);
  expect([...(parsed?.keys.keys() ?? [])]).toEqual(['ES256 other']);
  expect(parsed?.ignored.map(({ reason }) => reason)).toEqual(['kid_duplicate', 'kid_duplicate']);
});

test('the fingerprint depends on the key material, not on the order', () => {
  const [a, b] = [es256('a'), es256('b')];
  const print = (keys: unknown[]) => parseJwks({ keys }, all)?.fingerprint;
  expect(print([a, b])).toBe(print([b, a]));
  expect(print([a, b])).not.toBe(print([es256('a'), b]));
});

test('never throws for any JSON value', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      parseJwks(value, all);
      parseJwks({ keys: [value, { ...good, x: value }, { ...point, kid: value }] }, all);
    }),
  );
});
