import { setTimeout as delay } from 'node:timers/promises';
import * as client from 'openid-client';
import { api, webApplication } from './web-application.ts';

// Logs in like a web application (authorization code with PKCE), and calls the API through the gateway.

const { PROVIDER_PORT = '4000', GATEWAY_PORT = '8080' } = process.env;
const { clientId, secret, redirectUri } = webApplication;

const provider = await client.discovery(new URL(`http://127.0.0.1:${PROVIDER_PORT}`), clientId, secret, undefined, {
  execute: [client.allowInsecureRequests],
});
const pkceCodeVerifier = client.randomPKCECodeVerifier();
const page = client.buildAuthorizationUrl(provider, {
  redirect_uri: redirectUri,
  scope: 'openid orders.read',
  resource: api,
  code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
  code_challenge_method: 'S256',
});
const callback = await browse(page);
const tokens = await client.authorizationCodeGrant(provider, callback, { pkceCodeVerifier }, { resource: api });

const without = await ask();
process.stdout.write(`without a token: ${without.status}\n`);
const withIdToken = await ask(tokens.id_token);
process.stdout.write(`with the ID token: ${withIdToken.status} ${JSON.parse(withIdToken.body).code}\n`);
const withAccessToken = await ask(tokens.access_token);
process.stdout.write(`with the access token: ${withAccessToken.status}\n${withAccessToken.body}\n`);

async function ask(token?: string): Promise<Readonly<{ status: number; body: string }>> {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const response = await fetch(`http://127.0.0.1:${GATEWAY_PORT}/orders`, { headers });
  const body = await response.text();
  // In its first second, the service refuses requests, because it cannot rule out replays.
  const retryAfterSec = Number(response.headers.get('retry-after'));
  if (response.status !== 503 || !(retryAfterSec > 0)) return { status: response.status, body };
  await delay(retryAfterSec * 1000);
  return ask(token);
}

/** Follows redirects with cookies, as a browser does, until the redirect to the application. */
async function browse(start: URL): Promise<URL> {
  const cookies = new Map<string, string>();
  let url = start;
  while (!url.href.startsWith(redirectUri)) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, { redirect: 'manual', headers: { cookie } });
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (value === '') cookies.delete(name);
      else cookies.set(name, value);
    }
    const location = response.headers.get('location');
    if (location === null) throw new Error(`the provider responded with ${response.status} instead of a redirect`);
    url = new URL(location, url);
  }
  return url;
}
