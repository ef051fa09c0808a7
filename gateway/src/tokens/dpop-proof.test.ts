import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { calculateJwkThumbprint } from 'jose';
import { dpopClient } from '../../test/dpop-client.ts';
import { createProofVerifier, hashOf, importProofKey } from './dpop-proof.ts';

describe("the thumbprint of a proof's key", () => {
  test.each(['ES256', 'ES384', 'EdDSA', 'RS256', 'PS256'] as const)(
    'is the one that jose makes, for %s',
    async (alg) => {
      const { jwk } = dpopClient(alg);
      const imported = importProofKey({ ...jwk, kid: 'a', use: 'sig', key_ops: ['verify'], ext: true }, alg);
      expect(imported).toMatchObject({ thumbprint: await calculateJwkThumbprint(jwk) });
    },
  );

  test('matches RFC 7638 section 3.1', () => {
    const n =
      '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw';
    const imported = importProofKey({ kty: 'RSA', n, e: 'AQAB', alg: 'RS256', kid: '2011-04-29' }, 'RS256');
    expect(imported).toMatchObject({ thumbprint: 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs' });
  });

  test('matches RFC 9449 section 6.1', () => {
    const jwk = {
      kty: 'EC',
      crv: 'P-256',
      x: 'l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs',
      y: '9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA',
    };
    expect(importProofKey(jwk, 'ES256')).toMatchObject({ thumbprint: '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I' });
  });
});

test("a token's hash matches RFC 9449 section 7.1", () => {
  expect(hashOf('Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU')).toBe('fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo');
});

describe('a modified proof', () => {
  const client = dpopClient();
  const token = { text: 'a.b.c', jkt: client.thumbprint };
  const request = { method: 'GET', path: '/a', token };
  const verify = createProofVerifier({
    publicOrigins: ['http://h'],
    checkNonce: () => {},
    nowMs: Date.now,
  });
  const proof = client.proof({ url: 'http://h/a', token: token.text });

  test('is refused with a DPoP code and never with an internal error', () => {
    expect(verify(proof, request).thumbprint).toBe(client.thumbprint);
    const change = fc.record({ at: fc.nat(proof.length - 1), cut: fc.nat(3), put: fc.string({ maxLength: 3 }) });
    fc.assert(
      fc.property(change, ({ at, cut, put }) => {
        const changed = proof.slice(0, at) + put + proof.slice(at + cut);
        fc.pre(changed !== proof);
        expect(() => verify(changed, request)).toThrow(
          expect.objectContaining({
            code: expect.stringMatching(/^(?:dpop_proof_(?:invalid|mismatch|expired)|token_key_mismatch)$/),
          }),
        );
      }),
      { numRuns: 500 },
    );
  });

  test('is refused for any other value of a member', () => {
    const claims = ['jti', 'htm', 'htu', 'iat', 'ath'];
    const parameters = ['typ', 'alg', 'jwk'];
    const member = fc.constantFrom(...claims, ...parameters);
    // A `jti` may be any text. Every other member has exactly one valid value here.
    fc.assert(
      fc.property(member, fc.jsonValue(), (name, value) => {
        fc.pre(!(name === 'jti' && typeof value === 'string'));
        const made = claims.includes(name)
          ? client.proof({ url: 'http://h/a', token: token.text }, { [name]: value })
          : client.proof({ url: 'http://h/a', token: token.text }, {}, { [name]: value });
        expect(() => verify(made, request)).toThrow(
          expect.objectContaining({ code: expect.stringMatching(/^(?:dpop|token)_/) }),
        );
      }),
      { numRuns: 300 },
    );
  });
});
