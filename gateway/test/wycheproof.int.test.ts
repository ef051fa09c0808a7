import { type KeyObject, webcrypto } from 'node:crypto';
import { staticKeySet } from '@countersign/jwks';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';
import { readVectors } from './wycheproof/read-vectors.ts';

const json = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

// The algorithm parameters as in jose (lib/subtle_dsa.js).
const webCryptoNames: Record<string, webcrypto.EcdsaParams & webcrypto.RsaPssParams> = {
  ES256: { name: 'ECDSA', hash: 'SHA-256', saltLength: 0 },
  EdDSA: { name: 'Ed25519', hash: '', saltLength: 0 },
  RS256: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', saltLength: 0 },
  PS256: { name: 'RSA-PSS', hash: 'SHA-256', saltLength: 32 },
};
const algorithms = Object.keys(webCryptoNames);

describe.each(algorithms)("Wycheproof's %s vectors", (algorithm) => {
  const keys = readVectors(algorithm);
  const use = webCryptoNames[algorithm] as webcrypto.EcdsaParams & webcrypto.RsaPssParams;

  /** The key as our key set imports it; undefined if the key set ignores it. */
  function imported(jwk: object): KeyObject | undefined {
    try {
      return staticKeySet({ keys: [{ ...jwk, kid: 'w' }] }, { algorithms: [algorithm] }).find('w', algorithm);
    } catch {
      return undefined;
    }
  }

  test('have the expected result with the crypto and key import that verify tokens', async () => {
    const wrong: string[] = [];
    for (const { jwk, vectors } of keys) {
      const key = imported(jwk)?.toCryptoKey({ ...use, namedCurve: 'P-256' }, false, ['verify']);
      for (const { id, comment, message, signature, result } of vectors) {
        const verified =
          key !== undefined &&
          (await webcrypto.subtle.verify(use, key, Buffer.from(signature, 'base64url'), new Uint8Array(message)));
        // Wycheproof marks as "acceptable" a signature without a part of its padding; RFC 8017 requires a verifier to refuse it.
        if (verified !== (result === 'valid')) wrong.push(`${id} ${comment}: ${result}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});

describe("Wycheproof's signatures on tokens, with each of its keys", () => {
  let gateway: GatewayUnderTest;
  let served: unknown = { keys: [] };
  beforeAll(async () => {
    gateway = await gatewayUnderTest({
      edits: [
        ['algorithms: [ES256]', `algorithms: [${algorithms.join()}]`],
        ['trustedProxies: []', 'trustedProxies: ["127.0.0.0/8"]'],
      ],
      // The gateway fetches each key when a token names it.
      keySets: { cooldownMs: 0 },
    });
    gateway.issuerServer.answerKeys((_req, res) => res.end(JSON.stringify(served)));
  });
  afterAll(() => gateway.close());

  test.each(algorithms)('for %s are refused, and none causes a fault', async (algorithm) => {
    const [, payload] = (await gateway.issuer.accessToken()).split('.');
    const answers = new Map<string, number>();
    let seen = 0;
    for (const [at, { jwk, vectors }] of readVectors(algorithm).entries()) {
      const kid = `${algorithm}-${at}`;
      served = { keys: [{ ...jwk, kid, alg: algorithm, use: 'sig' }] };
      const header = json({ alg: algorithm, typ: 'at+jwt', kid });
      for (const { signature } of vectors) {
        seen += 1;
        const { status, code } = await gateway.ask('/v1/things/1', {
          token: `${header}.${payload}.${signature}`,
          // One address may send 600 bad tokens a minute.
          headers: { 'x-forwarded-for': `10.${algorithms.indexOf(algorithm)}.${seen >> 8}.${seen & 255}` },
        });
        const answer = `${status} ${code}`;
        answers.set(answer, (answers.get(answer) ?? 0) + 1);
      }
    }
    expect(
      [...answers.keys()].filter((answer) => !/^401 token_(signature_invalid|algorithm_refused)$/.test(answer)),
    ).toEqual([]);
    // Most of them were refused for the signature, not for their form.
    expect(answers.get('401 token_signature_invalid')).toBeGreaterThan(seen * 0.9);
    expect(gateway.upstream.requests).toEqual([]);
  });
});
