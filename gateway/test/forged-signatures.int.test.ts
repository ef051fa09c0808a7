import { KeyObject } from 'node:crypto';
import { eventually, mintIssuer, type TestIssuer } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ecdsaShapes, negated, p256, p384, p521 } from './forge/ecdsa-shapes.ts';
import { eddsaShapes } from './forge/eddsa-shapes.ts';
import { ps256Shapes, rs256Shapes, wellPadded } from './forge/rsa-shapes.ts';
import type { Shape } from './forge/shapes.ts';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';
import { feedItem } from './issuer-server.ts';

const shapesOf: Record<string, readonly Shape[]> = {
  ES256: ecdsaShapes(p256),
  ES384: ecdsaShapes(p384),
  ES512: ecdsaShapes(p521),
  EdDSA: eddsaShapes,
  RS256: rs256Shapes,
  PS256: ps256Shapes,
};
const algorithms = Object.keys(shapesOf);

describe('a token of a trusted key whose signature is', () => {
  let gateway: GatewayUnderTest;
  const issuers = new Map<string, TestIssuer>();
  beforeAll(async () => {
    for (const alg of algorithms) issuers.set(alg, await mintIssuer({ alg }));
    const keys = [...issuers.values()].flatMap(({ jwks }) => jwks.keys);
    gateway = await gatewayUnderTest({
      edits: [
        ['algorithms: [ES256]', `algorithms: [${algorithms.join()}]`],
        ['trustedProxies: []', 'trustedProxies: ["127.0.0.0/8"]'],
      ],
      answerKeys: (_req, res) => void res.end(JSON.stringify({ keys })),
    });
  });
  afterAll(() => gateway.close());

  const issuerOf = (algorithm: string) => issuers.get(algorithm) as TestIssuer;
  const keyOf = (algorithm: string) => KeyObject.from(issuerOf(algorithm).privateKey);
  const ask = async (token: string, address = '10.0.0.1') => {
    const { status, code } = await gateway.ask('/v1/things/1', { token, headers: { 'x-forwarded-for': address } });
    return `${status} ${code}`;
  };

  /** The first two parts of a valid token of this algorithm, and the token. */
  async function tokenOf(algorithm: string, claims = {}): Promise<{ input: string; token: string }> {
    const token = await issuerOf(algorithm).accessToken(claims);
    return { input: token.slice(0, token.lastIndexOf('.')), token };
  }

  test.each(algorithms)('made with %s, but malformed in any way, is refused', async (algorithm) => {
    const { input, token } = await tokenOf(algorithm);
    const before = gateway.upstream.requests.length;
    const wrong: string[] = [];
    for (const [at, [name, forge]] of (shapesOf[algorithm] ?? []).entries()) {
      const forged = `${input}.${forge(input, keyOf(algorithm)).toString('base64url')}`;
      const answer = await ask(forged, `10.${algorithms.indexOf(algorithm)}.0.${at}`);
      if (answer !== '401 token_signature_invalid') wrong.push(`${name}: ${answer}`);
    }
    expect(wrong).toEqual([]);
    expect(gateway.upstream.requests.length).toBe(before);
    expect(await ask(token)).toBe('200 undefined');
  });

  test('made with one algorithm, for the key of another, is refused', async () => {
    const before = gateway.upstream.requests.length;
    for (const named of algorithms) {
      for (const signs of algorithms.filter((other) => other !== named)) {
        const { kid } = issuerOf(named);
        // The algorithm that the key names, and the one that signs.
        const mislabelled = await issuerOf(signs).accessToken({}, { kid });
        expect(await ask(mislabelled)).toBe('401 token_key_unknown');
        const { input } = await tokenOf(named);
        const [, , signature] = (await issuerOf(signs).accessToken()).split('.');
        expect(await ask(`${input}.${signature}`)).toBe('401 token_signature_invalid');
      }
    }
    expect(gateway.upstream.requests.length).toBe(before);
  });

  test('made by the same code with correct RS256 padding passes, so the others fail for their padding', async () => {
    const { input } = await tokenOf('RS256');
    expect(await ask(`${input}.${wellPadded(input, keyOf('RS256')).toString('base64url')}`)).toBe('200 undefined');
  });

  // It can be computed from a valid one without the key. RFC 7518 section 3.4 accepts both, and signers do not choose:
  // docs/threat-model.md.
  test('the other valid ECDSA form for the message passes, as the same token', async () => {
    const { input, token } = await tokenOf('ES256', { sid: 's-1' });
    const other = negated(Buffer.from(token.slice(input.length + 1), 'base64url'), p256);
    expect(await ask(`${input}.${other.toString('base64url')}`)).toBe('200 undefined');
    gateway.issuerServer.revoke(feedItem('session', { sid: 's-1' }));
    await eventually(async () => expect(await ask(token)).toBe('401 token_revoked'));
    expect(await ask(`${input}.${other.toString('base64url')}`)).toBe('401 token_revoked');
  });
});
