import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import Provider, { type JWK } from 'oidc-provider';
import { api, webApplication } from './web-application.ts';

/**
 * Creates an OpenID provider with one user, who logs in without a page.
 *
 * @param backchannelLogoutUri The URL that gets a logout token when the user logs out.
 */
export function startProvider(port: number, backchannelLogoutUri?: string): Server {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const key = { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), alg: 'RS256', use: 'sig' } as JWK;
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    jwks: { keys: [key] },
    cookies: { keys: [randomUUID()] },
    clients: [
      {
        client_id: webApplication.clientId,
        client_secret: webApplication.secret,
        redirect_uris: [webApplication.redirectUri],
        ...(backchannelLogoutUri !== undefined && { backchannel_logout_uri: backchannelLogoutUri }),
      },
    ],
    findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    interactions: { url: (_context, { uid }) => `/login/${uid}` },
    async loadExistingGrant({ oidc }) {
      const grant = new oidc.provider.Grant({ clientId: oidc.client?.clientId, accountId: oidc.session?.accountId });
      grant.addOIDCScope('openid');
      grant.addResourceScope(api, 'orders.read');
      await grant.save();
      return grant;
    },
    // An administrator configures each user's groups and organization at the provider.
    extraTokenClaims: () => ({ groups: ['everyone', 'orders-agents'], organization: { id: 'acme' } }),
    features: {
      devInteractions: { enabled: false },
      backchannelLogout: { enabled: backchannelLogoutUri !== undefined },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({ scope: 'orders.read', audience: 'orders-api', accessTokenFormat: 'jwt' }),
      },
    },
    // By default, the provider sends no logout token to an address of this machine.
    fetch: (url, { dispatcher: _public, ...options }) => fetch(url, options),
    ttl: { AccessToken: 900, Grant: 3_600, IdToken: 900, Interaction: 600, Session: 3_600 },
  });
  const callback = provider.callback();
  const server = createServer(async (request, response) => {
    if (!request.url?.startsWith('/login/')) return callback(request, response);
    await provider.interactionFinished(request, response, { login: { accountId: 'ann' } });
  });
  return server.listen(port, '127.0.0.1');
}
