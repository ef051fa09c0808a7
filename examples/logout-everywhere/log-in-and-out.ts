import { writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Browser, logIn } from '../external-provider/browser.ts';

// Logs in at the provider, calls the API, logs out at the provider, and calls the API with the same token. Writes the
// token to a file if the command line names one.

const { PROVIDER_PORT = '4000', GATEWAY_PORT = '8080' } = process.env;

const browser = new Browser();
const { provider, tokens } = await logIn(browser, `http://127.0.0.1:${PROVIDER_PORT}`);
const [, , file] = process.argv;
if (file !== undefined) writeFileSync(file, tokens.access_token, { mode: 0o600 });
process.stdout.write(`after the login: ${await ask()}\n`);

// The provider asks whether to log out, as the user may have followed a link.
const page = await browser.open(new URL(provider.serverMetadata().end_session_endpoint ?? ''));
const text = await page.text();
const [, action = ''] = /action="([^"]+)"/.exec(text) ?? [];
const [, xsrf = ''] = /name="xsrf" value="([^"]+)"/.exec(text) ?? [];
await browser.open(new URL(action), { xsrf, logout: 'yes' });
process.stdout.write('logged out at the provider\n');
process.stdout.write(`after the logout: ${await ask()}\n`);

async function ask(): Promise<string> {
  const headers = { authorization: `Bearer ${tokens.access_token}` };
  const response = await fetch(`http://127.0.0.1:${GATEWAY_PORT}/orders`, { headers });
  const body = await response.text();
  // In its first second, the service cannot rule out replays, and refuses requests.
  const retryAfterSec = Number(response.headers.get('retry-after'));
  if (response.status === 503 && retryAfterSec > 0) {
    await delay(retryAfterSec * 1000);
    return ask();
  }
  return response.ok ? String(response.status) : `${response.status} ${JSON.parse(body).code}`;
}
