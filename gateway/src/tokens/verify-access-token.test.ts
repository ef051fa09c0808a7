import { createHmac, createPublicKey, KeyObject, sign, type webcrypto } from 'node:crypto';
import { type KeySet, remoteKeySet, staticKeySet } from '@countersign/jwks';
import { mintIssuer, type TestIssuer } from '@countersign/testing';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { exampleIssuer } from '../../test/kit/example-issuer.ts';
import type { Issuer } from '../config/config.ts';
import type { TrustedIssuer } from './verified-tokens.ts';
import { createTokenVerifier } from './verify-access-token.ts';

const configOf = (issuer: string, algorithms: Issuer['algorithms'] = ['ES256']): Issuer =>
  exampleIssuer({ issuer, jwks: `${issuer}/jwks.json`, algorithms });

function trusting(...issuers: [issuer: TestIssuer, config?: Issuer, keys?: KeySet][]) {
  const trusted = new Map<string, TrustedIssuer>();
  for (const [issuer, config = configOf(issuer.issuer), keys] of issuers) {
    const { algorithms } = config;
    trusted.set(issuer.issuer, {
      config,
      keys: keys ?? staticKeySet(issuer.jwks, { algorithms }),
      revocations: undefined,
    });
  }
  return createTokenVerifier(trusted, Date.now);
}

const json = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

describe('access token verification', () => {
  let issuer: TestIssuer;
  let verify: ReturnType<typeof trusting>;
  let token: string;
  beforeAll(async () => {
    issuer = await mintIssuer();
    verify = trusting([issuer]);
    token = await issuer.accessToken();
  });
  const payloadOf = (text: string) => text.split('.')[1] ?? '';
  const signatureOf = (text: string) => text.split('.')[2] ?? '';
  const withHeader = (header: unknown) => `${json(header)}.${payloadOf(token)}.${signatureOf(token)}`;
  const refusal = (text: string) =>
    verify(text).then(
      () => 'accepted',
      (error: { code: string }) => error.code,
    );
  const header = () => ({ alg: 'ES256', typ: 'at+jwt', kid: issuer.kid });

  test('accepts a valid token, and returns its claims', async () => {
    await expect(verify(token)).resolves.toMatchObject({
      kid: issuer.kid,
      claims: { role: 'agent', issuer: issuer.issuer },
    });
  });

  test('accepts the long form of the type', async () => {
    await expect(verify(await issuer.accessToken({}, { typ: 'application/at+jwt' }))).resolves.toBeDefined();
  });

  test.each(['none', 'None', 'NONE', 'nOnE', '', null, ['ES256'], 7, 'HS256', 'RS256', 'ES384', 'es256'])(
    'refuses the algorithm %p',
    async (alg) => {
      expect(await refusal(withHeader({ ...header(), alg }))).toBe('token_algorithm_refused');
      const unsigned = `${json({ ...header(), alg })}.${payloadOf(token)}.`;
      expect(await refusal(unsigned)).toBe('token_algorithm_refused');
    },
  );

  test('refuses an HMAC that uses the public key, in any encoding', async () => {
    const publicKey = createPublicKey({ key: issuer.jwks.keys[0] as webcrypto.JsonWebKey, format: 'jwk' });
    const forms = [
      publicKey.export({ type: 'spki', format: 'pem' }),
      publicKey.export({ type: 'spki', format: 'pem' }).toString().trimEnd(),
      publicKey.export({ type: 'spki', format: 'der' }),
      JSON.stringify(issuer.jwks.keys[0]),
    ];
    for (const secret of forms) {
      const signed = `${json({ ...header(), alg: 'HS256' })}.${payloadOf(token)}`;
      const mac = createHmac('sha256', secret).update(signed).digest('base64url');
      expect(await refusal(`${signed}.${mac}`)).toBe('token_algorithm_refused');
    }
  });

  test.each([
    ['jwk', { kty: 'EC' }],
    ['jku', 'http://127.0.0.1:1/jwks.json'],
    ['x5u', 'http://127.0.0.1:1/cert.pem'],
    ['x5c', ['MII']],
    ['crit', ['exp']],
    ['crit', []],
    ['b64', false],
    ['b64', true],
  ])('refuses a validly signed token with the header %s', async (name, value) => {
    const head = json({ ...header(), [name]: value });
    const privateKey = KeyObject.from(issuer.privateKey);
    const signature = sign('sha256', Buffer.from(`${head}.${payloadOf(token)}`), {
      key: privateKey,
      dsaEncoding: 'ieee-p1363',
    });
    expect(await refusal(`${head}.${payloadOf(token)}.${signature.toString('base64url')}`)).toBe(
      'token_header_refused',
    );
  });

  test.each(['JWT', 'rt+jwt', 'txntoken+jwt', 'id+jwt', 'AT+JWT', '', null, undefined, ['at+jwt']])(
    'refuses the type %p, even though the issuer signed it',
    async (typ) => {
      expect(await refusal(withHeader({ ...header(), typ }))).toBe('token_type_refused');
    },
  );

  test.each([
    '../../etc/passwd',
    "' OR 1=1 --",
    '__proto__',
    'constructor',
    'a\0b',
    'a\r\nb',
    'k'.repeat(4096),
    '',
    7,
    null,
    undefined,
    {},
  ])('refuses the kid %p', async (kid) => {
    expect(await refusal(withHeader({ ...header(), kid }))).toMatch(/^token_(key_unknown|too_large)$/);
  });

  test.each([
    ['another issuer', 'http://evil.test'],
    ['a trusted issuer with a trailing slash', 'http://issuer.test/'],
    ['a trusted issuer in upper case', 'HTTP://issuer.test'],
    ['a list', ['http://issuer.test']],
    ['no issuer', undefined],
    ['the name __proto__', '__proto__'],
  ])('refuses %s', async (_name, iss) => {
    expect(await refusal(await issuer.accessToken({ iss }))).toBe('token_issuer_unknown');
  });

  test('refuses a changed payload, and a changed signature', async () => {
    const claims = JSON.parse(Buffer.from(payloadOf(token), 'base64url').toString()) as object;
    const [head] = token.split('.');
    expect(await refusal(`${head}.${json({ ...claims, role: 'admin' })}.${signatureOf(token)}`)).toBe(
      'token_signature_invalid',
    );
    const bytes = Buffer.from(signatureOf(token), 'base64url');
    bytes.writeUInt8(bytes.readUInt8(9) ^ 1, 9);
    expect(await refusal(`${head}.${payloadOf(token)}.${bytes.toString('base64url')}`)).toBe('token_signature_invalid');
  });

  test.each([
    ['r = s = 0', Buffer.alloc(64)],
    ['DER', Buffer.from('3006020101020101', 'hex')],
    ['63 bytes', Buffer.alloc(63, 1)],
    ['65 bytes', Buffer.alloc(65, 1)],
  ])('refuses an ECDSA signature with %s', async (_name, signature) => {
    const [head] = token.split('.');
    expect(await refusal(`${head}.${payloadOf(token)}.${signature.toString('base64url')}`)).toBe(
      'token_signature_invalid',
    );
  });

  test('refuses every other encoding of a valid token', async () => {
    const last = token.at(-1) ?? '';
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const at = alphabet.indexOf(last);
    const respelled = [1, 2, 3].map((bit) => token.slice(0, -1) + alphabet[at ^ bit]);
    for (const text of respelled) expect(await refusal(text)).toMatch(/^token_(malformed|signature_invalid)$/);
    for (const text of respelled.slice(0, 1)) expect(await refusal(text)).toBe('token_malformed');
  });

  test('refuses a validly signed payload with a repeated name', async () => {
    const payload = Buffer.from(payloadOf(token), 'base64url').toString().replace('{', '{"role":"admin",');
    const [head] = token.split('.');
    expect(await refusal(`${head}.${json(payload)}.${signatureOf(token)}`)).toBe('token_malformed');
  });

  test("never verifies a token with another issuer's key", async () => {
    const other = await mintIssuer({ issuer: 'http://other.test' });
    const both = trusting([issuer], [other]);
    const forged = await other.accessToken({ iss: issuer.issuer });
    await expect(both(forged)).rejects.toMatchObject({ code: 'token_key_unknown' });
    // The same token, with a kid of the named issuer.
    const borrowed = await other.accessToken({ iss: issuer.issuer }, { kid: issuer.kid });
    await expect(both(borrowed)).rejects.toMatchObject({ code: 'token_signature_invalid' });
  });

  test('throws issuer_keys_unavailable, not a token error, without keys', async () => {
    const keys = remoteKeySet({ url: 'http://127.0.0.1:1/jwks.json', algorithms: ['ES256'], maxStaleMs: 1000 });
    const blind = trusting([issuer, configOf(issuer.issuer), keys]);
    await expect(blind(token)).rejects.toMatchObject({ code: 'issuer_keys_unavailable' });
    keys.stop();
  });

  test.each([
    ['EdDSA', 'EdDSA'],
    ['Ed25519', 'EdDSA'],
    ['RS256', 'RS256'],
    ['PS256', 'PS256'],
    ['ES384', 'ES384'],
  ] as const)('accepts %s where the issuer may use %s', async (alg, allowed) => {
    const signer = await mintIssuer({ alg });
    const verifying = trusting([signer, configOf(signer.issuer, [allowed])]);
    await expect(verifying(await signer.accessToken())).resolves.toBeDefined();
  });

  test.each(['Ed25519', 'EdDSA'])('refuses %s if the issuer may not use it', async (alg) => {
    const signer = await mintIssuer({ alg, kid: issuer.kid });
    expect(await refusal(await signer.accessToken())).toBe('token_algorithm_refused');
  });
});
