import { createHash, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, testAuthority } from '@countersign/testing';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import * as client from 'openid-client';
import { type GatewayOptions, type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';
import { logIn } from './openid-login.ts';
import {
  account,
  audience,
  certificateHeader,
  machineClient,
  type OpenIdOptions,
  type OpenIdServer,
  openIdServer,
  resource,
} from './openid-server.ts';

const home = mkdtempSync(join(tmpdir(), 'countersign-openid-'));
/**
 * The providers by their options. Starting one takes seconds, and no test depends on the state that another test left.
 */
const providers = new Map<string, Promise<OpenIdServer>>();
afterAll(async () => {
  for (const provider of providers.values()) await (await provider).close();
  rmSync(home, { recursive: true });
});
const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

const claims = { groups: ['orders-agents'], org: { id: 'acme' } };
const mapping =
  'claims: { userId: sub, role: { from: groups, map: { orders-admins: admin, orders-agents: agent } }, tenantId: [org, id] }';

function providerWith(options: OpenIdOptions): Promise<OpenIdServer> {
  const key = JSON.stringify(options);
  const provider = providers.get(key) ?? openIdServer(options);
  providers.set(key, provider);
  return provider;
}

/** A provider and a gateway that trusts it. */
async function started(
  options: OpenIdOptions = {},
  issuerKeys = `discovery: true, ${mapping}`,
  more: GatewayOptions = {},
): Promise<{ provider: OpenIdServer; gateway: GatewayUnderTest }> {
  const provider = await providerWith({ algorithm: 'RS256', claims, ...options });
  const gateway = await gatewayUnderTest({
    ...more,
    edits: [
      // The other tests' issuer stays, with its own tenant.
      [
        'issuers:',
        `issuers:\n  - { issuer: "${provider.issuer}", audience: ${audience}, tenants: [acme], roles: [admin, agent], ${issuerKeys} }`,
      ],
      ['    algorithms: [ES256]', '    algorithms: [ES256]\n    tenants: [other]\n    roles: [agent]'],
      ...(more.edits ?? []),
    ],
  });
  open.push(gateway.close);
  return { provider, gateway };
}

const identityOf = ({ upstream }: GatewayUnderTest) => {
  const { headers } = upstream.last();
  return [headers['x-identity'], headers['x-user-id'], headers['x-user-role'], headers['x-tenant-id']];
};

describe.each(['RS256', 'ES256'] as const)('a provider that signs with %s', (algorithm) => {
  test('and sends RFC 9068 tokens is trusted through its metadata', async () => {
    const { provider, gateway } = await started({ algorithm });
    const { accessToken } = await logIn(provider);
    expect(decodeProtectedHeader(accessToken)).toMatchObject({ alg: algorithm, typ: 'at+jwt' });
    expect(await gateway.ask('/v1/things/1', { token: accessToken })).toMatchObject({ status: 200 });
    expect(identityOf(gateway)).toEqual(['user', account, 'agent', 'acme']);
    expect(gateway.upstream.last().headers['x-identity-context']).toContain(`iss="${provider.issuer}"`);
  });

  test('and sends tokens with the type JWT is trusted by a claim that its ID tokens lack', async () => {
    const byValue = `discovery: true, types: [JWT], require: { scope: present }, machines: none, ${mapping}`;
    const { provider, gateway } = await started({ algorithm, typ: 'JWT' }, byValue);
    const { accessToken } = await logIn(provider);
    expect(decodeProtectedHeader(accessToken).typ).toBe('JWT');
    expect(await gateway.ask('/v1/things/1', { token: accessToken })).toMatchObject({ status: 200 });
    expect(identityOf(gateway)).toEqual(['user', account, 'agent', 'acme']);
  });
});

test.each([
  ['RFC 9068', undefined, `discovery: true, ${mapping}`],
  ['JWT', 'JWT', `discovery: true, types: [JWT, none], require: { sub: present }, machines: none, ${mapping}`],
])('an ID token from a provider with %s tokens is refused', async (_shape, typ, keys) => {
  const { provider, gateway } = await started({ ...(typ !== undefined && { typ }) }, keys);
  const { idToken } = await logIn(provider);
  expect(decodeJwt(idToken)).toMatchObject({ nonce: expect.any(String) });
  expect(await gateway.ask('/v1/things/1', { token: idToken })).toMatchObject({
    status: 401,
    code: 'token_type_refused',
  });
  expect(gateway.upstream.requests).toEqual([]);
});

test('a machine is refused, because it is not a user', async () => {
  const { provider, gateway } = await started({ claims: {} });
  const config = await client.discovery(
    new URL(provider.issuer),
    machineClient.id,
    undefined,
    client.ClientSecretBasic(machineClient.secret),
    { execute: [client.allowInsecureRequests] },
  );
  const { access_token: token } = await client.clientCredentialsGrant(config, { resource, scope: 'orders.read' });
  expect(await gateway.ask('/v1/things/1', { token })).toMatchObject({ status: 401, code: 'token_machine_refused' });
  expect(gateway.upstream.requests).toEqual([]);
});

test('the log says what was found and what was expected', async () => {
  const { provider, gateway } = await started({ claims: { groups: ['guests'], org: { id: 'acme' } } });
  const { accessToken } = await logIn(provider);
  expect(await gateway.ask('/v1/things/1', { token: accessToken })).toMatchObject({
    status: 403,
    code: 'role_missing',
  });
  const line = gateway.log.lines().find(({ code }) => code === 'role_missing');
  expect(line).toMatchObject({
    detail: {
      issuer: provider.issuer,
      claim: 'groups',
      wanted: 'one of "orders-admins", "orders-agents"',
      found: '["guests"]',
    },
  });
  expect(gateway.log.text()).not.toContain(accessToken.split('.')[2]);
});

test('a token that is bound to a DPoP key needs a proof of it', async () => {
  // The clock was behind at startup, so that the replay memory covers the present.
  const clock = { aheadMs: -100_000 };
  const { provider, gateway } = await started({}, undefined, {
    nowMs: () => Date.now() + clock.aheadMs,
    isReady: false,
  });
  clock.aheadMs = 0;
  await eventually(async () =>
    expect((await gateway.running.health.ready()).checks).toMatchObject({
      issuer_keys: 'ok',
      revocations: 'ok',
      dpop_replay: 'ok',
    }),
  );
  const dpopKey = await client.randomDPoPKeyPair('ES256');
  const { accessToken, dpop, config } = await logIn(provider, { dpopKey });
  expect(decodeJwt(accessToken)).toMatchObject({ cnf: { jkt: expect.any(String) } });
  expect(await gateway.ask('/v1/things/1', { token: accessToken })).toMatchObject({
    status: 401,
    code: 'token_proof_missing',
  });
  const answer = await client.fetchProtectedResource(
    withGateway(config, gateway),
    accessToken,
    new URL('http://gateway.test/v1/things/1'),
    'GET',
    null,
    new Headers(),
    dpop && { DPoP: dpop },
  );
  expect(answer.status).toBe(200);
  expect(gateway.upstream.last().headers['x-identity-context']).toContain('jkt=');
});

/** Sends requests for gateway.test to the gateway under test. */
function withGateway(config: client.Configuration, { port }: GatewayUnderTest): client.Configuration {
  config[client.customFetch] = async (url, options) => {
    const { request: send } = await import('undici');
    const target = new URL(url);
    const { statusCode, headers, body } = await send(`http://127.0.0.1:${port}${target.pathname}`, {
      method: 'GET',
      headers: { ...Object.fromEntries(new Headers(options.headers as Record<string, string>)), host: target.host },
    });
    return new Response(await body.text(), { status: statusCode, headers: headers as Record<string, string> });
  };
  return config;
}

test('a token that is bound to a client certificate needs that certificate', async () => {
  const authority = testAuthority();
  const clients = testAuthority('clients');
  const [own, other] = [clients.issue(['bank']), clients.issue(['other'])];
  const server = authority.issue(['gateway.test']);
  writeFileSync(join(home, 'tls.pem'), server.cert);
  writeFileSync(join(home, 'tls.key'), server.key);
  writeFileSync(join(home, 'clients.pem'), clients.ca);
  const { provider, gateway } = await started({}, undefined, {
    edits: [
      [
        'listen: {',
        `listen: { tls: { cert: "${home}/tls.pem", key: "${home}/tls.key", clients: { ca: "${home}/clients.pem" } },`,
      ],
      ['http://gateway.test', 'https://gateway.test'],
    ],
  });
  const headers = { [certificateHeader]: Buffer.from(own.cert).toString('base64') };
  const { accessToken } = await logIn(provider, { clientId: 'bank', headers });
  const thumbprint = createHash('sha256').update(new X509Certificate(own.cert).raw).digest('base64url');
  expect(decodeJwt(accessToken)).toMatchObject({ cnf: { 'x5t#S256': thumbprint } });

  const statusWith = (certificate: object) =>
    new Promise((resolve, reject) => {
      const options = {
        host: '127.0.0.1',
        port: gateway.port,
        path: '/v1/things/1',
        servername: 'gateway.test',
        ca: authority.ca,
        agent: false,
      };
      const authorization = `Bearer ${accessToken}`;
      request({ ...options, ...certificate, headers: { host: 'gateway.test', authorization } }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      })
        .on('error', reject)
        .end();
    });
  expect(await statusWith({})).toBe(401);
  expect(await statusWith(other)).toBe(401);
  expect(gateway.upstream.requests).toEqual([]);
  expect(await statusWith(own)).toBe(200);
  expect(identityOf(gateway)).toEqual(['user', account, 'agent', 'acme']);
});

test('keys may rotate under load: no valid token is refused', async () => {
  const { provider, gateway } = await started({}, undefined, { keySets: { cooldownMs: 50 } });
  const tokens = [(await logIn(provider)).accessToken];
  const seen: number[] = [];
  let isRunning = true;
  const load = Array.from({ length: 8 }, async (_, worker) => {
    for (let turn = worker; isRunning; turn += 1) {
      const { status } = await gateway.ask('/v1/things/1', { token: tokens[turn % tokens.length] ?? '' });
      seen.push(status);
    }
  });
  const kids = new Set<string | undefined>();
  for (let rotation = 0; rotation < 4; rotation += 1) {
    await provider.rotate();
    const { accessToken } = await logIn(provider);
    kids.add(decodeProtectedHeader(accessToken).kid);
    const before = seen.length;
    tokens.push(accessToken);
    await eventually(() => expect(seen.length).toBeGreaterThan(before + 40));
  }
  isRunning = false;
  await Promise.all(load);
  expect(kids.size).toBe(4);
  expect(new Set(seen)).toEqual(new Set([200]));
  expect(gateway.upstream.requests.length).toBe(seen.length);
});
