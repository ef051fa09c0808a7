import { createHmac, generateKeyPairSync, type KeyObject, sign, type webcrypto } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { wellPaddedBlock } from './forge/rsa-shapes.ts';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';
import * as answers from './kit/key-answers.ts';
import { rocaKey } from './kit/roca-key.ts';

const json = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

type Pair = Readonly<{ publicKey: KeyObject; privateKey: KeyObject }>;
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const rsa1024 = generateKeyPairSync('rsa', { modulusLength: 1024 });
const roca = rocaKey();

const publicJwk = ({ publicKey }: Pair): webcrypto.JsonWebKey => publicKey.export({ format: 'jwk' });
const { kty, n, e } = roca.export({ format: 'jwk' });

/** A token with a valid signature by this key, for a verifier that accepts the key. */
const signed = (alg: string, key: KeyObject) => (payload: string) => {
  const input = `${json({ alg, typ: 'at+jwt', kid: 'bad' })}.${payload}`;
  return `${input}.${sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
};
const byEc = signed('ES256', ec.privateKey);
const byRsa = signed('RS256', rsa.privateKey);

/** With e = 1 a signature is its own padded message. */
const withoutKey = (payload: string) => {
  const input = `${json({ alg: 'RS256', typ: 'at+jwt', kid: 'bad' })}.${payload}`;
  return `${input}.${wellPaddedBlock(input, 256).toString('base64url')}`;
};

type Case = [name: string, keys: webcrypto.JsonWebKey[], forge: (payload: string) => string, reason: string];

/** Cases from Wycheproof's JSON Web Key file, and more. */
const cases: Case[] = [
  ['for encryption', [{ ...publicJwk(ec), alg: 'ES256', use: 'enc' }], byEc, 'not_for_signatures'],
  ['an RSA key for encryption', [{ ...publicJwk(rsa), alg: 'RSA1_5', use: 'enc' }], byRsa, 'not_for_signatures'],
  ['with an unknown alg', [{ ...publicJwk(ec), alg: 'ES521' }], byEc, 'algorithm_mismatch'],
  ['with the alg of a smaller curve', [{ ...publicJwk(ec), alg: 'ES224' }], byEc, 'algorithm_mismatch'],
  ['with another curve than its alg', [{ ...publicJwk(ec), alg: 'ES256', crv: 'P-384' }], byEc, 'algorithm_mismatch'],
  ['labelled as another curve', [{ ...publicJwk(ec), crv: 'P-384' }], byEc, 'malformed'],
  ['labelled as another key type', [{ ...publicJwk(ec), alg: 'ES256', kty: 'RSA' }], byEc, 'algorithm_mismatch'],
  ['an RSA key labelled as an EC key', [{ ...publicJwk(rsa), kty: 'EC', crv: 'P-256' }], byRsa, 'malformed'],
  ['a point off its curve', [{ ...publicJwk(ec), y: publicJwk(other).y ?? '' }], byEc, 'malformed'],
  ['private', [ec.privateKey.export({ format: 'jwk' })], byEc, 'private'],
  ['an RSA key of 1024 bits', [{ ...publicJwk(rsa1024), alg: 'RS256' }], signed('RS256', rsa1024.privateKey), 'weak'],
  [
    'an RSA key that can be factored (CVE-2017-15361)',
    [{ kty, n, e, alg: 'RS256' } as webcrypto.JsonWebKey],
    signed('RS256', roca),
    'weak',
  ],
  ['an RSA key with e = 1', [{ ...publicJwk(rsa), e: 'AQ', alg: 'RS256' }], withoutKey, 'weak'],
  ['duplicated', [publicJwk(ec), publicJwk(ec)], byEc, 'kid_duplicate'],
  ['a different key with the same kid', [publicJwk(ec), publicJwk(other)], byEc, 'kid_duplicate'],
  ['a key of another type with the same kid', [publicJwk(ec), publicJwk(rsa)], byRsa, 'kid_duplicate'],
  ['a secret with the same kid', [publicJwk(ec), { kty: 'oct', k: 'AAAA' }], byEc, 'kid_duplicate'],
];

describe('a bad key that the issuer publishes next to a valid one', () => {
  let gateway: GatewayUnderTest;
  let payload: string;
  beforeAll(async () => {
    gateway = await gatewayUnderTest({
      edits: [['algorithms: [ES256]', 'algorithms: [ES256, ES384, RS256]']],
      keySets: { cooldownMs: 0 },
    });
    payload = (await gateway.issuer.accessToken()).split('.')[1] ?? '';
  });
  afterAll(() => gateway.close());

  const good = () => gateway.issuer.jwks.keys as webcrypto.JsonWebKey[];
  const serve = (keys: readonly webcrypto.JsonWebKey[]) => {
    gateway.issuerServer.answerKeys(
      answers.json({ keys: [...good(), ...keys.map((key) => ({ ...key, kid: 'bad' }))] }),
    );
  };
  const ask = async (token: string) => {
    const { status, code } = await gateway.ask('/v1/things/1', { token });
    return code === undefined ? String(status) : `${status} ${code}`;
  };

  test.each(cases)(
    'verifies nothing when it is %s, and the good one still works',
    async (_name, keys, forge, reason) => {
      const before = gateway.upstream.requests.length;
      // Reads the set once without the bad key, since the gateway logs ignored keys when they change.
      serve([]);
      await ask(forge(payload));
      const logged = gateway.log.text().length;
      serve(keys);
      expect(await ask(forge(payload))).toBe('401 token_key_unknown');
      expect(gateway.upstream.requests.length).toBe(before);
      expect(gateway.log.text().slice(logged)).toContain(`"reason":"${reason}"`);
      expect(await ask(await gateway.issuer.accessToken())).toBe('200');
    },
  );

  test.each<[name: string, key: webcrypto.JsonWebKey]>([
    ['a secret', { kty: 'oct', k: Buffer.alloc(32, 1).toString('base64url'), alg: 'HS256' }],
    ['an empty secret', { kty: 'oct', k: '', alg: 'HS256' }],
    ['a secret with an accepted alg', { kty: 'oct', k: Buffer.alloc(32, 1).toString('base64url'), alg: 'ES256' }],
  ])('verifies no token if it is %s', async (_name, key) => {
    serve([key]);
    const before = gateway.upstream.requests.length;
    for (const alg of ['HS256', 'ES256', 'RS256']) {
      const input = `${json({ alg, typ: 'at+jwt', kid: 'bad' })}.${payload}`;
      const mac = createHmac('sha256', Buffer.from(key.k ?? '', 'base64url'))
        .update(input)
        .digest('base64url');
      expect(await ask(`${input}.${mac}`)).toMatch(/^401 token_(algorithm_refused|key_unknown)$/);
    }
    expect(gateway.upstream.requests.length).toBe(before);
    expect(await ask(await gateway.issuer.accessToken())).toBe('200');
  });

  test('is what made these tokens fail: the same keys pass when labelled correctly', async () => {
    serve([{ ...publicJwk(ec), alg: 'ES256', use: 'sig' }]);
    expect(await ask(byEc(payload))).toBe('200');
    serve([{ ...publicJwk(rsa), alg: 'RS256', use: 'sig' }]);
    expect(await ask(byRsa(payload))).toBe('200');
  });
});
