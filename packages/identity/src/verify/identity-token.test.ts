import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { describe, expect, test } from '@jest/globals';
import { audience, ed25519Jwk, genuine, nonce, nowSec } from '../../test/forge.ts';
import { bindingTo, issuer, publicTokenJwk, tokenJwks, tokenOf, userClaims } from '../../test/token-forge.ts';
import { deliver, verifierAt } from '../../test/verifier.ts';
import { listen } from '../../test/wire.ts';
import { gatewayKeys, IdentityUnavailable, memoryReplay, staticGatewayKeys, verifyIdentityToken } from '../index.ts';

const jwk = publicTokenJwk(tokenJwks[0]);
const message = genuine();
const request = { ...message, rawHeaders: message.headers.flat() };
const token = tokenOf({ ...userClaims, ...bindingTo(message) });
const replay = () => memoryReplay({ nowMs: () => 0 });
const options = (jwks: { keys: readonly unknown[] } = { keys: [jwk] }) => ({
  issuer,
  audience,
  keys: staticGatewayKeys(jwks, { algorithm: 'ES256' }),
  replay: replay(),
  nowMs: () => nowSec * 1000,
});

test('a nonce and a jti in one store are different, even if their text is equal', async () => {
  const shared = { replay: replay() };
  expect(bindingTo(message).jti).toBe(nonce);
  await deliver(verifierAt(nowSec, shared), message);
  await expect(verifyIdentityToken(token, request, { ...options(), ...shared })).resolves.toMatchObject({
    kind: 'user',
    userId: 'u-1',
  });
  await expect(verifyIdentityToken(token, request, { ...options(), ...shared })).rejects.toMatchObject({
    reason: 'replayed',
  });
  await expect(deliver(verifierAt(nowSec, shared), message)).rejects.toMatchObject({ reason: 'replayed' });
});

test('a token from before the store began is refused', async () => {
  const began = { replay: memoryReplay({ nowMs: () => nowSec * 1000 }) };
  await expect(verifyIdentityToken(token, request, { ...options(), ...began })).rejects.toMatchObject({
    reason: 'created_before_start',
  });
});

test('without a valid x-request-id, the request id is new', async () => {
  for (const rawHeaders of [[], ['x-request-id', '7']]) {
    const { requestId } = await verifyIdentityToken(token, { ...request, rawHeaders }, options());
    expect(requestId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
  }
});

test.each([
  ['no token', undefined, 'signature_missing'],
  ['an empty one', '', 'signature_malformed'],
  ['a second token after a comma', `${token}, ${token}`, 'signature_malformed'],
  ['padding', `${token}=`, 'signature_invalid'],
  ['4,097 characters', tokenOf({ ...userClaims, x: 'x'.repeat(4000) }), 'signature_malformed'],
  ['a header that is not JSON', `e30x${token}`, 'signature_malformed'],
  ['crit', tokenOf(userClaims, { alg: 'ES256', typ: 'JWT', kid: jwk.kid, crit: ['x'] }), 'tag_mismatch'],
  ['a kid that is a number', tokenOf(userClaims, { alg: 'ES256', typ: 'JWT', kid: 7 }), 'signature_malformed'],
])('refuses %s', async (_name, text, reason) => {
  await expect(verifyIdentityToken(text, request, options())).rejects.toMatchObject({ reason });
});

test.each([
  ['exp', 'text'],
  ['nbf', undefined],
  ['iat', 1.5],
  ['user_id', 7],
  ['user_id', undefined],
  ['role', 'Not A Role'],
  ['tenant_id', null],
  ['caller', undefined],
  ['caller', 'gateway'],
  ['caller', 'service'],
  ['auth_time', '1'],
  ['amr', 'pwd'],
  ['amr', [1]],
  ['act', { sub: 'client-2' }],
  ['act', null],
  ['scope', ''],
  ['scope', ['a']],
  ['jkt', 'short'],
  ['jti', 'short'],
  ['jti', [nonce]],
  ['req', null],
  ['req', 'GET'],
])('refuses a token whose %s is %j', async (name, value) => {
  const changed = tokenOf({ ...userClaims, ...bindingTo(message), [name]: value });
  await expect(verifyIdentityToken(changed, request, options())).rejects.toMatchObject({ name: 'IdentityRefused' });
});

test('takes an empty amr for none', async () => {
  const { context } = await verifyIdentityToken(tokenOf({ ...userClaims, amr: [] }), request, options());
  expect(context).not.toHaveProperty('amr');
});

describe('a key set', () => {
  const { kid } = jwk;
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey.export({ format: 'jwk' });
  const beside = { ...publicTokenJwk(tokenJwks[1]), kid: 'beside' };
  test.each([
    ['with a private key', tokenJwks[0]],
    ['for encryption', { ...jwk, use: 'enc' }],
    ['for another algorithm', { ...jwk, alg: 'ES384' }],
    ['on another curve', { ...p384, kid }],
    ['of another type', { kty: 'OKP', crv: 'Ed25519', x: ed25519Jwk.x, kid }],
    ['not on the curve', { ...jwk, y: jwk.x }],
    ['with a coordinate of 33 bytes', { ...jwk, x: Buffer.alloc(33, 1).toString('base64url') }],
  ])('does not use a key %s', async (_name, entry) => {
    await expect(verifyIdentityToken(token, request, options({ keys: [entry, beside] }))).rejects.toMatchObject({
      reason: 'key_unknown',
    });
  });

  test('for headers has no keys for tokens, and the reverse', async () => {
    const x25519 = generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' });
    const keys = [
      { kty: 'OKP', crv: 'Ed25519', x: ed25519Jwk.x, kid },
      { ...x25519, kid: 'a' },
      { ...jwk, kid: 'b' },
    ];
    const ofHeaders = { ...options(), keys: staticGatewayKeys({ keys }) };
    const other = tokenOf({ ...userClaims }, { alg: 'ES256', typ: 'JWT', kid: 'b' });
    await expect(verifyIdentityToken(other, request, ofHeaders)).rejects.toMatchObject({ reason: 'key_unknown' });
    const ofTokens = staticGatewayKeys({ keys }, { algorithm: 'ES256' });
    expect([await ofTokens.lookup(kid), await ofTokens.lookupTokenKey?.('b')]).toEqual([undefined, expect.anything()]);
    expect(() => staticGatewayKeys({ keys: keys.slice(0, 2) }, { algorithm: 'ES256' })).toThrow(/no usable key/);
  });

  test('is fetched', async () => {
    let keys: unknown[] = [];
    const { port, close } = await listen(createServer((_req, res) => void res.end(JSON.stringify({ keys }))));
    const url = `http://127.0.0.1:${port}/.well-known/identity-token-jwks.json`;
    const without = gatewayKeys({ url, algorithm: 'ES256', onStateChange: () => {} });
    const rejected = verifyIdentityToken(token, request, { ...options(), keys: without });
    await expect(rejected).rejects.toThrow(IdentityUnavailable);
    keys = [jwk];
    const fetched = gatewayKeys({ url, algorithm: 'ES256' });
    await fetched.start();
    await expect(verifyIdentityToken(token, request, { ...options(), keys: fetched })).resolves.toMatchObject({
      claims: { department: 'sales' },
    });
    fetched.stop();
    await close();
  });
});
