import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import Provider, { type Configuration, type JWK } from 'oidc-provider';
import {
  account,
  apiClient,
  audience,
  certificateHeader,
  machineClient,
  type OpenIdOptions,
  resource,
  signedApiClient,
  webClient,
} from '../openid-server.ts';
import { OpenIdMemory } from './memory.ts';

// The provider of ../openid-server.ts. It sends its issuer when it listens, and signs with a new key after each
// message.

const { redirectUri, ...options } = JSON.parse(process.argv[2] ?? '') as OpenIdOptions & { redirectUri: string };
let handle: RequestListener = (_request, response) => void response.writeHead(503).end();
const server = createServer((request, response) => handle(request, response));
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const keys: JWK[] = newKeys();
const use = () => {
  handle = withLogin(new Provider(issuer, configurationOf(keys, redirectUri, options)));
};
use();
process.on('message', () => {
  keys.unshift(...newKeys());
  use();
  process.send?.('rotated');
});
process.on('disconnect', () => process.exit());
process.send?.(issuer);

function newKeys(): JWK[] {
  const pairs = [
    { alg: 'RS256', pair: generateKeyPairSync('rsa', { modulusLength: 2048 }) },
    { alg: 'ES256', pair: generateKeyPairSync('ec', { namedCurve: 'P-256' }) },
  ];
  return pairs.map(({ alg, pair }) => {
    const jwk = pair.privateKey.export({ format: 'jwk' });
    return { ...jwk, alg, use: 'sig', kid: randomUUID() } as JWK;
  });
}

/** Submits the provider's login form as its one user would, without rendering a page. */
function withLogin(provider: Provider): RequestListener {
  const callback = provider.callback();
  return async (request: IncomingMessage, response: ServerResponse) => {
    if (!request.url?.startsWith('/interaction/')) return callback(request, response);
    await provider.interactionFinished(request, response, { login: { accountId: account } });
  };
}

function configurationOf(keys: JWK[], redirectUri: string, options: OpenIdOptions): Configuration {
  const { algorithm = 'RS256', typ, claims = {}, opaque = false } = options;
  return {
    adapter: OpenIdMemory,
    jwks: { keys },
    cookies: { keys: ['a-key-for-the-cookies-of-a-test'] },
    clients: [
      {
        client_id: webClient.id,
        client_secret: webClient.secret,
        redirect_uris: [redirectUri],
        grant_types: ['authorization_code', 'refresh_token'],
        tls_client_certificate_bound_access_tokens: false,
      },
      {
        client_id: 'bank',
        client_secret: webClient.secret,
        redirect_uris: [redirectUri],
        grant_types: ['authorization_code'],
        tls_client_certificate_bound_access_tokens: true,
      },
      {
        client_id: machineClient.id,
        client_secret: machineClient.secret,
        redirect_uris: [],
        response_types: [],
        grant_types: ['client_credentials'],
      },
      ...[apiClient, signedApiClient].map(({ id, secret }) => ({
        client_id: id,
        client_secret: secret,
        redirect_uris: [],
        response_types: [],
        grant_types: [],
        ...(id === signedApiClient.id && { introspection_signed_response_alg: algorithm }),
      })),
    ],
    scopes: ['openid', 'offline_access'],
    ...(opaque && { issueRefreshToken: (_context, client) => client.grantTypeAllowed('refresh_token') }),
    pkce: { required: () => true },
    findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
    // The user has consented to everything.
    async loadExistingGrant({ oidc }) {
      const { client, provider, session } = oidc;
      const grant = new provider.Grant({ clientId: client?.clientId, accountId: session?.accountId });
      grant.addOIDCScope('openid offline_access');
      grant.addResourceScope(resource, 'orders.read');
      await grant.save();
      return grant;
    },
    extraTokenClaims: (_context, token) => (token.kind === 'AccessToken' ? { ...claims } : undefined),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      dPoP: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      jwtIntrospection: { enabled: true },
      revocation: { enabled: true },
      mTLS: {
        enabled: true,
        certificateBoundAccessTokens: true,
        getCertificate: ({ req }) => {
          const given = req.headers[certificateHeader];
          return typeof given === 'string' ? Buffer.from(given, 'base64').toString() : undefined;
        },
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: 'orders.read',
          audience,
          accessTokenFormat: opaque ? 'opaque' : 'jwt',
          jwt: { sign: { alg: algorithm } },
        }),
      },
    },
    ...(typ !== undefined && {
      formats: {
        customizers: {
          jwt(_context, _token, parts) {
            parts.header = { typ };
          },
        },
      },
    }),
    ttl: { AccessToken: 900, Grant: 3_600, IdToken: 900, Interaction: 600, Session: 3_600, ClientCredentials: 900 },
  };
}
