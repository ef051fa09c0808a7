import { setTimeout as delay } from 'node:timers/promises';
import * as client from 'openid-client';
import { api, webApplication } from './web-application.ts';

const { clientId, secret, redirectUri } = webApplication;

/** A browser without pages: it keeps cookies and follows redirects. */
export class Browser {
  readonly #cookies = new Map<string, string>();

  /** Requests a page, or submits a form. */
  async open(url: URL, form?: Record<string, string>): Promise<Response> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, {
      redirect: 'manual',
      headers: { cookie },
      ...(form !== undefined && { method: 'POST', body: new URLSearchParams(form) }),
    });
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (value === '') this.#cookies.delete(name);
      else this.#cookies.set(name, value);
    }
    return response;
  }

  /** Follows redirects up to the redirect to the application. */
  async browse(start: URL): Promise<URL> {
    let url = start;
    while (!url.href.startsWith(redirectUri)) {
      const response = await this.open(url);
      const location = response.headers.get('location');
      if (location === null) throw new Error(`the provider answered ${response.status} instead of a redirect`);
      url = new URL(location, url);
    }
    return url;
  }
}

/** Logs in as a web application does: authorization code with PKCE. */
export async function logIn(browser: Browser, providerUrl: string) {
  const provider = await client.discovery(new URL(providerUrl), clientId, secret, undefined, {
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
  const callback = await browser.browse(page);
  const tokens = await client.authorizationCodeGrant(provider, callback, { pkceCodeVerifier }, { resource: api });
  return { provider, tokens };
}

/** Calls the API through the gateway, and returns the status and the body. */
export async function callApi(token?: string): Promise<Readonly<{ status: number; body: string }>> {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const response = await fetch(`http://127.0.0.1:${process.env.GATEWAY_PORT ?? 8080}/orders`, { headers });
  const body = await response.text();
  // In its first second, the service refuses requests, because it cannot rule out replays.
  const retryAfterSec = Number(response.headers.get('retry-after'));
  if (response.status !== 503 || !(retryAfterSec > 0)) return { status: response.status, body };
  await delay(retryAfterSec * 1000);
  return callApi(token);
}
