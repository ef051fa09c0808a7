import { writeFileSync } from 'node:fs';
import { Browser, callApi, logIn } from '../external-provider/browser.ts';

// Calls the API with one token before and after the logout at the provider. An argument names a file for the token.

const browser = new Browser();
const { provider, tokens } = await logIn(browser, `http://127.0.0.1:${process.env.PROVIDER_PORT ?? 4000}`);
const [, , file] = process.argv;
if (file !== undefined) writeFileSync(file, tokens.access_token, { mode: 0o600 });
process.stdout.write(`after the login: ${await ask()}\n`);

// The provider asks for confirmation, because the user may have followed a link.
const page = await browser.open(new URL(provider.serverMetadata().end_session_endpoint ?? ''));
const text = await page.text();
const [, action = ''] = /action="([^"]+)"/.exec(text) ?? [];
const [, xsrf = ''] = /name="xsrf" value="([^"]+)"/.exec(text) ?? [];
await browser.open(new URL(action), { xsrf, logout: 'yes' });
process.stdout.write('logged out at the provider\n');
process.stdout.write(`after the logout: ${await ask()}\n`);

async function ask(): Promise<string> {
  const { status, body } = await callApi(tokens.access_token);
  return status < 300 ? String(status) : `${status} ${JSON.parse(body).code}`;
}
