import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { eventually, mintIssuer } from '@countersign/testing';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';

const json = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

describe('an access token at the edge', () => {
  let gateway: GatewayUnderTest;
  let token: string;
  beforeAll(async () => {
    gateway = await gatewayUnderTest();
    token = await gateway.issuer.accessToken();
  });
  afterAll(() => gateway.close());

  const ask = (lines: string, path = '/v1/things/1') =>
    gateway.raw(`GET ${path} HTTP/1.1\r\n<host>\r\n${lines}<close>\r\n\r\n`);
  async function refused(lines: string, path?: string) {
    const before = gateway.upstream.requests.length;
    const answer = await ask(lines, path);
    expect(gateway.upstream.requests.length).toBe(before);
    expect(answer.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
    return answer;
  }

  test('passes when it is valid', async () => {
    expect((await ask(`Authorization: Bearer ${token}\r\n`)).status).toBe(200);
    expect((await ask(`authorization: bearer ${token}\r\n`)).status).toBe(200);
  });

  test('that is missing is 401, and the challenge has only the scheme and the metadata', async () => {
    const { status, code, headers } = await refused('');
    expect([status, code]).toEqual([401, 'token_missing']);
    expect(headers['www-authenticate']).toMatch(/^Bearer resource_metadata="[^"]+"$/);
    expect(headers['cache-control']).toBe('no-store');
    expect(headers['x-content-type-options']).toBe('nosniff');
  });

  test('that is refused is 401 with invalid_token', async () => {
    const { status, code, headers } = await refused('Authorization: Bearer not.a.token\r\n');
    expect([status, code]).toEqual([401, 'token_malformed']);
    expect(headers['www-authenticate']).toMatch(/^Bearer error="invalid_token", error_description="/);
  });

  const attacks: [name: string, make: () => string | Promise<string>, code: string][] = [
    ['unsigned', () => `${json({ alg: 'none', typ: 'at+jwt' })}.${token.split('.')[1]}.`, 'token_algorithm_refused'],
    [
      'signed with the public key as a secret',
      () => {
        const signed = `${json({ alg: 'HS256', typ: 'at+jwt', kid: gateway.issuer.kid })}.${token.split('.')[1]}`;
        return `${signed}.${createHmac('sha256', JSON.stringify(gateway.issuer.jwks.keys[0])).update(signed).digest('base64url')}`;
      },
      'token_algorithm_refused',
    ],
    [
      'of another issuer',
      async () => (await mintIssuer({ issuer: 'http://evil.test' })).accessToken(),
      'token_issuer_unknown',
    ],
    ['of another key with our issuer’s name', async () => (await mintIssuer()).accessToken(), 'token_key_unknown'],
    [
      'of another key with our kid',
      async () => (await mintIssuer({ kid: gateway.issuer.kid })).accessToken(),
      'token_signature_invalid',
    ],
    ['without exp', () => gateway.issuer.accessToken({ exp: undefined }), 'token_claims_invalid'],
    ['with an exp that is a string', () => gateway.issuer.accessToken({ exp: '9999999999' }), 'token_claims_invalid'],
    ['with an exp that is too large', () => gateway.issuer.accessToken({ exp: 1e308 }), 'token_claims_invalid'],
    ['that expired', () => gateway.issuer.accessToken({ exp: Math.floor(Date.now() / 1000) - 6 }), 'token_expired'],
    [
      'from the future',
      () => gateway.issuer.accessToken({ iat: Math.floor(Date.now() / 1000) + 60 }),
      'token_not_yet_valid',
    ],
    [
      'valid later',
      () => gateway.issuer.accessToken({ nbf: Math.floor(Date.now() / 1000) + 60 }),
      'token_not_yet_valid',
    ],
    ['that is a refresh token', () => gateway.issuer.accessToken({}, { typ: 'rt+jwt' }), 'token_type_refused'],
    ['that is an ID token', () => gateway.issuer.accessToken({}, { typ: 'JWT' }), 'token_type_refused'],
    ['for another audience', () => gateway.issuer.accessToken({ aud: 'other' }), 'token_audience_refused'],
    ['for no audience', () => gateway.issuer.accessToken({ aud: undefined }), 'token_audience_refused'],
    ['with a list of roles', () => gateway.issuer.accessToken({ role: ['agent', 'admin'] }), 'token_claims_invalid'],
    [
      'with a header in its tenant',
      () => gateway.issuer.accessToken({ tenant_id: 't1\r\nX-User-Role: admin' }),
      'token_claims_invalid',
    ],
    ['with two tenants in one', () => gateway.issuer.accessToken({ tenant_id: 't1,t2' }), 'token_claims_invalid'],
    ['without a session', () => gateway.issuer.accessToken({ sid: undefined }), 'token_claims_invalid'],
    [
      'that is bound to a key',
      () => gateway.issuer.accessToken({ cnf: { jkt: 'A'.repeat(43) } }),
      'token_proof_missing',
    ],
    [
      'that is bound in an unknown way',
      () => gateway.issuer.accessToken({ cnf: { kid: 'a' } }),
      'token_claims_invalid',
    ],
    ['that is too large', () => gateway.issuer.accessToken({ padding: 'x'.repeat(8192) }), 'token_too_large'],
  ];
  test.each(attacks)('%s is refused', async (_name, make, expected) => {
    const { status, code } = await refused(`Authorization: Bearer ${await make()}\r\n`);
    expect([status, code]).toEqual([401, expected]);
  });

  test('with a key URL in its header causes no fetch of that URL', async () => {
    let visits = 0;
    const trap = createServer((_req, res) => {
      visits += 1;
      res.end('{}');
    }).listen(0, '127.0.0.1');
    await eventually(() => expect(trap.listening).toBe(true));
    const url = `http://127.0.0.1:${(trap.address() as AddressInfo).port}/`;
    for (const header of [{ jku: url }, { x5u: url }, { jwk: gateway.issuer.jwks.keys[0] }]) {
      const forged = await gateway.issuer.accessToken({}, header as { jku?: string });
      expect((await refused(`Authorization: Bearer ${forged}\r\n`)).code).toBe('token_header_refused');
    }
    expect(visits).toBe(0);
    trap.close();
  });

  test('that is not canonical base64url is refused', async () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const respelled = token.slice(0, -1) + alphabet[alphabet.indexOf(token.at(-1) ?? '') ^ 1];
    expect((await refused(`Authorization: Bearer ${respelled}\r\n`)).status).toBe(401);
  });

  test('with an unknown key does not cause a fetch for each request', async () => {
    const before = gateway.issuerServer.keyFetches();
    const stranger = await mintIssuer();
    for (let count = 0; count < 20; count += 1) {
      await refused(`Authorization: Bearer ${await stranger.accessToken({}, { kid: `k${count}` })}\r\n`);
    }
    expect(gateway.issuerServer.keyFetches() - before).toBeLessThanOrEqual(1);
  });

  test.each([
    ['two headers', () => `Authorization: Bearer ${token}\r\nAuthorization: Bearer ${token}\r\n`],
    ['two headers, one in another case', () => `Authorization: Bearer ${token}\r\nAUTHORIZATION: Bearer x\r\n`],
    ['a list', () => `Authorization: Bearer ${token}, Bearer ${token}\r\n`],
    ['a list without a space', () => `Authorization: Bearer ${token},x\r\n`],
    ['two spaces', () => `Authorization: Bearer  ${token}\r\n`],
    ['a tab', () => `Authorization: Bearer\t${token}\r\n`],
    ['no token', () => 'Authorization: Bearer\r\n'],
    ['text after it', () => `Authorization: Bearer ${token} x\r\n`],
  ])('sent with %s is 400', async (_name, lines) => {
    const { status, code } = await refused(lines());
    expect([status, code]).toEqual([400, 'invalid_request']);
  });

  test.each([
    ['in the query', () => '', () => `/v1/things/1?access_token=${token}`],
    ['in a cookie', () => `Cookie: access_token=${token}\r\n`, () => '/v1/things/1'],
    ['in Proxy-Authorization', () => `Proxy-Authorization: Bearer ${token}\r\n`, () => '/v1/things/1'],
    ['under another scheme', () => `Authorization: Basic ${token}\r\n`, () => '/v1/things/1'],
    ['under a misspelled header', () => `Authorization_: Bearer ${token}\r\n`, () => '/v1/things/1'],
  ])('%s is ignored', async (_name, lines, path) => {
    const { status, code } = await refused(lines(), path());
    expect([status, code]).toEqual([401, 'token_missing']);
  });

  test('may be missing on an optional route, but not invalid', async () => {
    expect((await ask('', '/v1/maybe')).status).toBe(200);
    expect(gateway.upstream.last().headers['x-identity']).toBe('anonymous');
    expect((await ask(`Authorization: Bearer ${token}\r\n`, '/v1/maybe')).status).toBe(200);
    expect(gateway.upstream.last().headers['x-identity']).toBe('user');
    expect((await refused('Authorization: Bearer x.y.z\r\n', '/v1/maybe')).status).toBe(401);
  });

  test('is ignored on a public route', async () => {
    expect((await ask('Authorization: Bearer x.y.z\r\n', '/v1/open/1')).status).toBe(200);
  });

  test('with the wrong role or another tenant is 403', async () => {
    const roles = await refused(`Authorization: Bearer ${token}\r\n`, '/v1/admin');
    expect([roles.status, roles.code]).toEqual([403, 'insufficient_role']);
    const tenants = await refused(`Authorization: Bearer ${token}\r\n`, '/v1/tenants/globex/settings');
    expect([tenants.status, tenants.code]).toEqual([403, 'tenant_mismatch']);
  });

  test('that was verified on one route is authorized again on another', async () => {
    const admin = await gateway.issuer.accessToken({ role: 'admin' });
    expect((await ask(`Authorization: Bearer ${admin}\r\n`, '/v1/admin')).status).toBe(200);
    expect((await ask(`Authorization: Bearer ${token}\r\n`)).status).toBe(200);
    expect((await refused(`Authorization: Bearer ${token}\r\n`, '/v1/admin')).status).toBe(403);
  });

  test('never appears in the log, and neither does a signature', () => {
    const text = gateway.log.text();
    expect(text).not.toContain(token);
    expect(text).not.toContain(token.split('.')[2]);
    for (const { headers } of gateway.upstream.requests) expect(text).not.toContain(headers.signature);
  });
});

describe('an address that sends bad tokens', () => {
  let gateway: GatewayUnderTest;
  afterEach(() => gateway.close());

  test.each([
    ['many', (count: number) => `bad.${count}.token`],
    ['one, repeatedly', () => 'bad.same.token'],
  ])('(%s) gets 429 before verification, and tokens verified before still pass', async (_name, bad) => {
    gateway = await gatewayUnderTest();
    const token = await gateway.issuer.accessToken();
    expect((await gateway.ask('/v1/things/1', { token })).status).toBe(200);
    const statuses = new Map<number, number>();
    for (let count = 0; count < 610; count += 1) {
      const { status } = await gateway.ask('/v1/things/1', { token: bad(count) });
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
    expect(Object.fromEntries(statuses)).toEqual({ 401: 600, 429: 10 });
    expect((await gateway.ask('/v1/things/1', { token })).status).toBe(200);
  });
});
