import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { audience, exampleSigner, issuer, logoutPayload, nowMs, nowSec } from '../test/example-tokens.ts';
import { verifyLogoutToken } from './logout-token.ts';

const signer = exampleSigner();
const other = exampleSigner();
const options = {
  issuers: new Map([
    [issuer, signer.keys],
    ['https://other.example.test', other.keys],
  ]),
  audience: [audience],
  algorithms: ['RS256'],
  nowMs,
};
const verify = (text: string, changes: object = {}) => verifyLogoutToken(text, { ...options, ...changes });
const token = (claims: object = {}, header: object = {}) =>
  signer.sign({ ...logoutPayload, ...claims }, { typ: 'logout+jwt', ...header });
const unsigned = (alg: string) =>
  [{ alg, typ: 'logout+jwt', kid: 'k1' }, logoutPayload]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .concat('')
    .join('.');

describe('a logout token', () => {
  test('ends its session', async () => {
    expect(await verify(await token())).toEqual({
      jti: 'logout-1',
      issuedAtMs: nowMs,
      ends: [{ kind: 'session', issuer, sessionId: 's-1', notBeforeMs: nowMs + 1_000, event: 'logout' }],
      ignored: [],
      isLate: false,
      verification: undefined,
    });
  });

  test.each([
    ['without a session', { sid: undefined }, {}],
    ['where access tokens name no session', {}, { sessions: false }],
  ])('%s ends the tokens of its user', async (_name, claims, changes) => {
    const { ends } = await verify(await token(claims), changes);
    expect(ends).toEqual([{ kind: 'user', issuer, userId: 'u-1', notBeforeMs: nowMs + 1_000, event: 'logout' }]);
  });

  test('may have the usual typ where the provider says so', async () => {
    const text = await token({}, { typ: 'JWT' });
    expect((await verify(text, { types: ['logout+jwt', 'jwt'] })).ends).toHaveLength(1);
    await expect(verify(text)).rejects.toMatchObject({ code: 'invalid_request' });
  });

  test('is accepted with a clock that is 5 s off either way', async () => {
    for (const offset of [-5, 5]) {
      const claims = { iat: nowSec + offset, exp: nowSec + offset + 1 };
      expect((await verify(await token(claims))).ends).toHaveLength(1);
    }
  });

  test.each([
    ['an access token', { events: undefined }, { typ: 'at+jwt' }, 'invalid_request'],
    ['an ID token', { nonce: 'n' }, { typ: 'JWT' }, 'invalid_request'],
    ['a Security Event Token', {}, { typ: 'secevent+jwt' }, 'invalid_request'],
    ['no typ', {}, { typ: undefined }, 'invalid_request'],
    ['a nonce', { nonce: 'n' }, {}, 'invalid_request'],
    ['an empty nonce', { nonce: '' }, {}, 'invalid_request'],
    ['no events', { events: undefined }, {}, 'invalid_request'],
    ['another event', { events: { 'https://example.test/other': {} } }, {}, 'invalid_request'],
    [
      'an event that is no object',
      { events: { 'http://schemas.openid.net/event/backchannel-logout': true } },
      {},
      'invalid_request',
    ],
    ['events as a list', { events: ['http://schemas.openid.net/event/backchannel-logout'] }, {}, 'invalid_request'],
    ['neither sub nor sid', { sub: undefined, sid: undefined }, {}, 'invalid_request'],
    ['a sub that is a number', { sub: 7 }, {}, 'invalid_request'],
    ['a session of 300 characters', { sid: 's'.repeat(300) }, {}, 'invalid_request'],
    ['no jti', { jti: undefined }, {}, 'invalid_request'],
    ['no iat', { iat: undefined }, {}, 'invalid_request'],
    ['no exp', { exp: undefined }, {}, 'invalid_request'],
    ['an exp that is past', { exp: nowSec - 6 }, {}, 'invalid_request'],
    ['an iat in the future', { iat: nowSec + 6 }, {}, 'invalid_request'],
    ['another audience', { aud: 'orders-api' }, {}, 'invalid_audience'],
    ['no audience', { aud: undefined }, {}, 'invalid_audience'],
    ['an audience that is an object', { aud: { orders: 1 } }, {}, 'invalid_audience'],
    ['an unknown issuer', { iss: 'https://evil.test' }, {}, 'invalid_issuer'],
    ['an issuer with a slash', { iss: `${issuer}/` }, {}, 'invalid_issuer'],
    ['no issuer', { iss: undefined }, {}, 'invalid_issuer'],
    ['another issuer of ours', { iss: 'https://other.example.test' }, {}, 'invalid_key'],
    ['an unknown key', {}, { kid: 'k2' }, 'invalid_key'],
    ['no key id', {}, { kid: undefined }, 'invalid_key'],
    ['a key of its own', {}, { jwk: {} }, 'invalid_request'],
    ['a URL of keys', {}, { jku: 'https://evil.test' }, 'invalid_request'],
  ])('with %s is refused', async (_name, claims, header, code) => {
    await expect(verify(await token(claims, header))).rejects.toMatchObject({ name: 'EventTokenError', code });
  });

  test.each([
    ['signed by another', () => other.sign(logoutPayload, { typ: 'logout+jwt' }), 'invalid_key'],
    ['unsigned', () => unsigned('none'), 'invalid_request'],
    ['with HS256 and no MAC', () => unsigned('HS256'), 'invalid_request'],
    ['of 20 KB', () => token({ extra: 'x'.repeat(20_000) }), 'invalid_request'],
    ['that is empty', () => '', 'invalid_request'],
  ])('%s is refused', async (_name, make, code) => {
    await expect(verify(await make())).rejects.toMatchObject({ name: 'EventTokenError', code });
  });

  test('is refused for any change of its text', async () => {
    const text = await token();
    const change = fc.record({ at: fc.nat(text.length - 1), cut: fc.nat(3), put: fc.string({ maxLength: 3 }) });
    await fc.assert(
      fc.asyncProperty(change, async ({ at, cut, put }) => {
        const changed = text.slice(0, at) + put + text.slice(at + cut);
        fc.pre(changed !== text);
        await expect(verify(changed)).rejects.toMatchObject({ name: 'EventTokenError' });
      }),
      { numRuns: 300 },
    );
  });
});
