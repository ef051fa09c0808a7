import { setTimeout as delay } from 'node:timers/promises';
import { Browser, logIn } from './browser.ts';

// Logs in at the provider, and calls the API through the gateway.

const { PROVIDER_PORT = '4000', GATEWAY_PORT = '8080' } = process.env;

const { tokens } = await logIn(new Browser(), `http://127.0.0.1:${PROVIDER_PORT}`);

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
