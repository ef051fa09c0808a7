import { eventually } from '@countersign/testing';
import { afterAll, afterEach, expect, test } from '@jest/globals';
import * as client from 'openid-client';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';
import { logIn } from './openid-login.ts';
import {
  account,
  apiClient,
  audience,
  machineClient,
  type OpenIdServer,
  openIdServer,
  resource,
  signedApiClient,
} from './openid-server.ts';

// Opaque tokens of a real provider (npm `oidc-provider`).

const claims = { groups: ['orders-agents'], org: { id: 'acme' } };
let provider: OpenIdServer | undefined;
afterAll(() => provider?.close());
const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

type Changes = Readonly<{ by?: typeof apiClient; introspection?: string; issuer?: string }>;

/** A gateway that trusts only the provider's opaque tokens, or its signed answers. */
async function started({ by = apiClient, introspection = '', issuer = '' }: Changes = {}) {
  provider ??= await openIdServer({ algorithm: 'RS256', opaque: true, claims });
  const endpoint = `{ url: "${provider.issuer}/token/introspection", clientId: "${by.id}", clientSecret: "\${API_SECRET}"${introspection} }`;
  const mapping = 'userId: sub, role: { from: groups, map: { orders-agents: agent } }, tenantId: [org, id]';
  const gateway = await gatewayUnderTest({
    routes: `
  - { name: things, path: "/v1/things/**", methods: [GET], upstream: things, auth: required, allow: { clients: any } }
`,
    env: { API_SECRET: by.secret },
    edits: [
      [
        'issuers:',
        `issuers:\n  - { issuer: "${provider.issuer}", audience: ${audience}, tenants: [acme], roles: [agent, service], claims: { ${mapping} }, introspection: ${endpoint}${issuer} }`,
      ],
      ['    algorithms: [ES256]', '    algorithms: [ES256]\n    tenants: [other]\n    roles: [agent]'],
    ],
  });
  open.push(gateway.close);
  return { provider, gateway };
}

const identityOf = ({ upstream }: GatewayUnderTest) => {
  const { headers } = upstream.last();
  return [headers['x-identity'], headers['x-user-id'], headers['x-user-role'], headers['x-tenant-id']];
};
const path = '/v1/things/1';

test.each<[string, Changes]>([
  ['in JSON', {}],
  [
    'signed',
    { by: signedApiClient, introspection: ', signed: true', issuer: ', discovery: true, algorithms: [RS256]' },
  ],
])('an access token passes by an answer %s', async (_form, changes) => {
  const { provider: server, gateway } = await started(changes);
  const { accessToken } = await logIn(server);
  expect(accessToken).not.toContain('.');
  expect(await gateway.ask(path, { token: accessToken })).toMatchObject({ status: 200 });
  expect(identityOf(gateway)).toEqual(['user', account, 'agent', 'acme']);
  expect(gateway.log.text()).not.toContain(accessToken);
});

test('a refresh token of the same login is active, and refused', async () => {
  const { provider: server, gateway } = await started();
  const { refreshToken } = await logIn(server);
  expect(refreshToken).toMatch(/^[\w-]{20,}$/);
  expect(await gateway.ask(path, { token: refreshToken })).toMatchObject({ status: 401, code: 'token_type_refused' });
  expect(gateway.upstream.requests).toEqual([]);
});

test('a token that the provider revoked is refused once its answer has ended', async () => {
  const { provider: server, gateway } = await started({ introspection: ', cacheFor: 1s' });
  const { accessToken, config } = await logIn(server);
  expect(await gateway.ask(path, { token: accessToken })).toMatchObject({ status: 200 });
  await client.tokenRevocation(config, accessToken);
  await eventually(async () =>
    expect(await gateway.ask(path, { token: accessToken })).toMatchObject({ status: 401, code: 'token_inactive' }),
  );
});

test('a token that the provider does not know is refused', async () => {
  const { gateway } = await started();
  expect(await gateway.ask(path, { token: 'unknown-token' })).toMatchObject({ status: 401, code: 'token_inactive' });
  expect(gateway.upstream.requests).toEqual([]);
});

test('a token that is bound to a DPoP key needs a proof of it', async () => {
  const { provider: server, gateway } = await started();
  const { accessToken } = await logIn(server, { dpopKey: await client.randomDPoPKeyPair('ES256') });
  expect(await gateway.ask(path, { token: accessToken })).toMatchObject({ status: 401, code: 'token_proof_missing' });
  expect(gateway.upstream.requests).toEqual([]);
});

test('a machine is refused, unless the file says how to recognize it: the answer has no subject', async () => {
  const { provider: server, gateway } = await started();
  const config = await client.discovery(
    new URL(server.issuer),
    machineClient.id,
    undefined,
    client.ClientSecretBasic(machineClient.secret),
    { execute: [client.allowInsecureRequests] },
  );
  const { access_token: token } = await client.clientCredentialsGrant(config, { resource, scope: 'orders.read' });
  expect(await gateway.ask(path, { token })).toMatchObject({ status: 401, code: 'token_claims_invalid' });
  expect(gateway.upstream.requests).toEqual([]);
  const known = await started({ issuer: ', machines: { when: { sub: absent }, role: { constant: service } }' });
  expect(await known.gateway.ask(path, { token })).toMatchObject({ status: 200 });
  expect(identityOf(known.gateway)).toEqual(['client', undefined, 'service', undefined]);
});

test('a wrong secret gives 503, and the log says so', async () => {
  const { provider: server, gateway } = await started({ by: { ...apiClient, secret: 'wrong' } });
  const { accessToken } = await logIn(server);
  const answer = await gateway.ask(path, { token: accessToken });
  expect(answer).toMatchObject({ status: 503, code: 'introspection_unavailable' });
  expect(gateway.upstream.requests).toEqual([]);
  const line = gateway.log.lines().find(({ msg }) => msg === 'opaque tokens cannot be introspected');
  expect(line).toMatchObject({ issuer: server.issuer, reason: 'the endpoint responded with 401' });
});
