import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { eventually, mintIssuer } from '@countersign/testing';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';
import { feedItem, issuerServer } from './issuer-server.ts';

describe('a revoked token', () => {
  let gateway: GatewayUnderTest;
  beforeEach(async () => {
    gateway = await gatewayUnderTest({ batchSize: 2 });
  });
  afterEach(() => gateway.close());

  const ask = async (token: string) => {
    const { status, code } = await gateway.ask('/v1/things/1', { token });
    return [status, code];
  };

  test('is refused within a second, even if it was verified before', async () => {
    const token = await gateway.issuer.accessToken({ sid: 's-1' });
    const other = await gateway.issuer.accessToken({ sid: 's-2' });
    for (let count = 0; count < 3; count += 1) expect(await ask(token)).toEqual([200, undefined]);
    const revokedAt = performance.now();
    gateway.issuerServer.revoke(feedItem('session', { sid: 's-1' }));
    await eventually(async () => expect(await ask(token)).toEqual([401, 'token_revoked']), 2_000);
    expect(performance.now() - revokedAt).toBeLessThan(1_000);
    const before = gateway.upstream.requests.length;
    for (let count = 0; count < 20; count += 1) expect(await ask(token)).toEqual([401, 'token_revoked']);
    expect(gateway.upstream.requests.length).toBe(before);
    expect(await ask(other)).toEqual([200, undefined]);
  });

  test('is 401 however often it is sent, and does not block others at the same address', async () => {
    const token = await gateway.issuer.accessToken({ sid: 's-1' });
    gateway.issuerServer.revoke(feedItem('session', { sid: 's-1' }));
    await eventually(async () => expect(await ask(token)).toEqual([401, 'token_revoked']));
    for (let count = 0; count < 610; count += 1) expect(await ask(token)).toEqual([401, 'token_revoked']);
    expect(await ask(await gateway.issuer.accessToken())).toEqual([200, undefined]);
  });

  test.each([
    ['client', { client_id: 'web', tenant_id: 't-1' }],
    ['member', { user_id: 'u-1', tenant_id: 't-1' }],
    ['user', { user_id: 'u-1' }],
    ['tenant', { tenant_id: 't-1' }],
    ['key', {}],
  ])('by its %s is refused even if it was verified before, and a later token passes', async (kind, names) => {
    const { issuer, issuerServer } = gateway;
    const subject = { user_id: 'u-1', sub: 'u-1', tenant_id: 't-1' };
    const token = await issuer.accessToken(subject);
    const others = await Promise.all([
      issuer.accessToken({ ...subject, user_id: 'u-2', sub: 'u-2', tenant_id: 't-2' }),
      issuer.accessToken({ ...subject, iat: Math.floor(Date.now() / 1000) + 3 }),
    ]);
    for (const each of [token, ...others]) expect(await ask(each)).toEqual([200, undefined]);
    issuerServer.revoke(feedItem(kind, kind === 'key' ? { kid: issuer.kid } : names));
    await eventually(async () => expect(await ask(token)).toEqual([401, 'token_revoked']));
    const [stranger, later] = await Promise.all(others.map(ask));
    // Revoking a key revokes the tokens of all users.
    expect(stranger?.[0]).toBe(kind === 'key' ? 401 : 200);
    expect(later).toEqual([200, undefined]);
  });

  test('never reaches the service when it is revoked while the body arrives', async () => {
    const token = await gateway.issuer.accessToken({ sid: 's-1' });
    expect(await ask(token)).toEqual([200, undefined]);
    const before = gateway.upstream.requests.length;
    const slow = request({
      port: gateway.port,
      method: 'POST',
      path: '/v1/things',
      headers: { host: 'gateway.test', authorization: `Bearer ${token}`, expect: '100-continue', 'content-length': 4 },
    });
    slow.flushHeaders();
    // The gateway asks for the body once it has accepted the token.
    await once(slow, 'continue');
    gateway.issuerServer.revoke(feedItem('session', { sid: 's-1' }));
    await eventually(async () => expect((await ask(token))[1]).toBe('token_revoked'));
    slow.end('body');
    const [answer] = (await once(slow, 'response')) as [IncomingMessage];
    expect([answer.statusCode, JSON.parse(await text(answer)).code]).toEqual([401, 'token_revoked']);
    expect(gateway.upstream.requests.length).toBe(before);
  });

  test('stays refused while the feed is down, and others pass; new revocations arrive when it is back', async () => {
    const token = await gateway.issuer.accessToken({ sid: 's-1' });
    const other = await gateway.issuer.accessToken({ sid: 's-2' });
    gateway.issuerServer.revoke(feedItem('session', { sid: 's-1' }));
    await eventually(async () => expect(await ask(token)).toEqual([401, 'token_revoked']));
    gateway.issuerServer.setHealthy(false);
    expect(await ask(token)).toEqual([401, 'token_revoked']);
    expect(await ask(other)).toEqual([200, undefined]);
    gateway.issuerServer.revoke(feedItem('session', { sid: 's-2' }));
    gateway.issuerServer.setHealthy(true);
    await eventually(async () => expect(await ask(other)).toEqual([401, 'token_revoked']), 4_000);
  });

  test('stays refused after a snapshot with many pages, and after a new log', async () => {
    const sessions = ['s-1', 's-2', 's-3', 's-4', 's-5'];
    const tokens = await Promise.all(sessions.map((sid) => gateway.issuer.accessToken({ sid })));
    gateway.issuerServer.revoke(...sessions.map((sid) => feedItem('session', { sid })));
    for (const token of tokens) await eventually(async () => expect(await ask(token)).toEqual([401, 'token_revoked']));
    const news = await gateway.issuer.accessToken({ sid: 's-new' });
    expect(await ask(news)).toEqual([200, undefined]);
    // A restored backup: it has some of the revocations, and continues with its own.
    const known = [...sessions.slice(0, 3), 's-new'].map((sid) => feedItem('session', { sid }));
    gateway.issuerServer.replaceLog('restored', ...known);
    await eventually(async () => expect(await ask(news)).toEqual([401, 'token_revoked']));
    for (const token of tokens) expect(await ask(token)).toEqual([401, 'token_revoked']);
  });
});

describe('two issuers', () => {
  test('revoke only their own tokens, with every kind of revocation', async () => {
    const other = await mintIssuer({ issuer: 'http://other.test' });
    const otherServer = await issuerServer(other);
    const gateway = await gatewayUnderTest({
      edits: [
        [
          'algorithms: [ES256]\n',
          'algorithms: [ES256]\n    tenants: [t-1]\n    roles: [agent]\n    sameSubjects: true\n',
        ],
        [
          'identity: { keys',
          `  - { issuer: "http://other.test", audience: complaints-api, jwks: "${otherServer.url}/jwks.json", algorithms: [ES256], tenants: [t-1], roles: [agent], sameSubjects: true, revocations: { url: "${otherServer.url}/internal/revocations" } }\nidentity: { keys`,
        ],
        ['upstreams:\n', `upstreams:\n  other: { targets: ["${otherServer.url}"] }\n`],
      ],
    });
    const subject = { sid: 's-1', user_id: 'u-1', sub: 'u-1', tenant_id: 't-1' };
    const [mine, theirs] = [await gateway.issuer.accessToken(subject), await other.accessToken(subject)];
    const ask = async (token: string) => (await gateway.ask('/v1/things/1', { token })).code ?? 200;
    expect([await ask(mine), await ask(theirs)]).toEqual([200, 200]);
    otherServer.revoke(
      feedItem('session', { sid: 's-1' }),
      feedItem('user', { user_id: 'u-1' }),
      feedItem('member', { user_id: 'u-1', tenant_id: 't-1' }),
      feedItem('tenant', { tenant_id: 't-1' }),
      feedItem('key', { kid: gateway.issuer.kid }),
      feedItem('key', { kid: other.kid }),
    );
    await eventually(async () => expect(await ask(theirs)).toBe('token_revoked'));
    expect(await ask(mine)).toBe(200);
    await gateway.close();
    await otherServer.close();
  });
});

describe('before the first revocations and keys arrive', () => {
  test('a token is 503 with Retry-After, never 401, and a public route is served', async () => {
    const gateway = await gatewayUnderTest({ isIssuerHealthy: false });
    const token = await gateway.issuer.accessToken();
    const { status, code, headers } = await gateway.raw(
      `GET /v1/things/1 HTTP/1.1\r\n<host>\r\nAuthorization: Bearer ${token}\r\n<close>\r\n\r\n`,
    );
    expect([status, code]).toEqual([503, 'issuer_keys_unavailable']);
    expect(Number(headers['retry-after'])).toBeGreaterThan(0);
    expect(headers['www-authenticate']).toBeUndefined();
    expect((await gateway.admin('/readyz')).status).toBe(503);
    expect((await gateway.admin('/healthz')).status).toBe(200);
    expect((await gateway.ask('/v1/open/1')).status).toBe(200);
    gateway.issuerServer.setHealthy(true);
    await eventually(async () => expect((await gateway.admin('/readyz')).status).toBe(200));
    await eventually(async () => expect((await gateway.ask('/v1/things/1', { token })).status).toBe(200));
    await gateway.close();
  });

  test('keys alone are not enough', async () => {
    const gateway = await gatewayUnderTest({ isFeedHealthy: false });
    const token = await gateway.issuer.accessToken();
    await eventually(async () => {
      const { status, code } = await gateway.ask('/v1/things/1', { token });
      expect([status, code]).toEqual([503, 'revocations_unavailable']);
    });
    expect(gateway.upstream.requests.length).toBe(0);
    await gateway.close();
  });
});
