import * as client from 'openid-client';
import { type OpenIdServer, resource, webClient } from './openid-server.ts';

export type LoginOptions = Readonly<{
  clientId?: string;
  /** Binds the token to this key. */
  dpopKey?: client.CryptoKeyPair;
  /** Headers of each request to the token endpoint. */
  headers?: Readonly<Record<string, string>>;
}>;

export type Tokens = Readonly<{
  accessToken: string;
  /** Empty unless the provider's access tokens are opaque. */
  refreshToken: string;
  idToken: string;
  dpop: client.DPoPHandle | undefined;
  config: client.Configuration;
}>;

/** Logs the user in by the authorization-code flow with PKCE, as a browser and a web application would. */
export async function logIn(
  server: OpenIdServer,
  { clientId = webClient.id, dpopKey, headers = {} }: LoginOptions = {},
): Promise<Tokens> {
  const config = await client.discovery(
    new URL(server.issuer),
    clientId,
    undefined,
    client.ClientSecretBasic(webClient.secret),
    { execute: [client.allowInsecureRequests] },
  );
  config[client.customFetch] = (url, options) =>
    fetch(url, {
      ...(options as RequestInit),
      headers: { ...(options.headers as Record<string, string>), ...headers },
    });
  const dpop = dpopKey && client.getDPoPHandle(config, dpopKey);
  const verifier = client.randomPKCECodeVerifier();
  const nonce = client.randomNonce();
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: server.redirectUri,
    scope: 'openid orders.read',
    resource,
    nonce,
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  });
  const callback = await follow(url, server);
  const tokens = await client.authorizationCodeGrant(
    config,
    callback,
    { pkceCodeVerifier: verifier, expectedNonce: nonce },
    { resource },
    dpop && { DPoP: dpop },
  );
  const { access_token: accessToken, refresh_token: refreshToken = '', id_token: idToken = '' } = tokens;
  return { accessToken, refreshToken, idToken, dpop, config };
}

/** Follows redirects with cookies, until the one to the web application. */
async function follow(start: URL, { redirectUri }: OpenIdServer): Promise<URL> {
  const cookies = new Map<string, string>();
  let url = start;
  for (let step = 0; step < 10; step += 1) {
    if (url.href.startsWith(redirectUri)) return url;
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, { redirect: 'manual', headers: { cookie } });
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (value === '') cookies.delete(name);
      else cookies.set(name, value);
    }
    const location = response.headers.get('location');
    if (location === null) throw new Error(`no redirect: ${response.status} ${await response.text()}`);
    url = new URL(location, url);
  }
  throw new Error('too many redirects');
}
