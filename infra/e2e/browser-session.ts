import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser } from 'playwright-core';
import { openBrowser } from '../console/browser.ts';
import { password } from './client.ts';

/*
 * A browser's session with cookies, in a real Chromium against a running stack:
 *
 *     npm start                                                  (in one terminal)
 *     npx node --conditions=source infra/e2e/browser-session.ts  (in another; CHROMIUM names the binary)
 *
 * Run it by hand: the suites have no second site in Chromium.
 */

const gatewayPort = process.env.GATEWAY_PORT ?? '8080';

type Reply = { status: number; code?: string; hasToken: boolean; inBody: boolean };

/** Returns the script of a page. An answer that the browser hides counts as refused. */
const post = (url: string, body: object, headers: object = {}): string => `
  fetch(${JSON.stringify(url)}, {
    method: 'POST', credentials: 'include',
    headers: { 'content-type': 'application/json', 'x-requested-with': 'fetch', ...${JSON.stringify(headers)} },
    body: ${JSON.stringify(JSON.stringify(body))},
  }).then(async (answer) => {
    const text = await answer.text();
    const json = text === '' ? {} : JSON.parse(text);
    return { status: answer.status, code: json.code, hasToken: 'access_token' in json, inBody: 'refresh_token' in json };
  }, () => ({ status: 0, code: 'blocked by the browser', hasToken: false, inBody: false }))`;

const failures: string[] = [];
function check(sentence: string, holds: boolean, seen: unknown): void {
  process.stdout.write(`${holds ? 'ok  ' : 'FAIL'} ${sentence}${holds ? '' : `: ${JSON.stringify(seen)}`}\n`);
  if (!holds) failures.push(sentence);
}

async function trySession(browser: Browser, host: string, evilPort: number): Promise<void> {
  const gateway = `http://${host}:${gatewayPort}`;
  const context = await browser.newContext();
  const tab = await context.newPage();
  // The gateway serves no pages, but any of its answers gives a script its origin.
  await tab.goto(`${gateway}/.well-known/jwks.json`);
  const login = { email: 'agent@acme.test', password, transport: 'cookie' };
  const loggedIn = await tab.evaluate<Reply>(post('/v1/auth/login', login));
  check(
    `${host}: a login gives an access token, and no refresh token to scripts`,
    loggedIn.status === 200 && loggedIn.hasToken && !loggedIn.inBody,
    loggedIn,
  );
  const [kept, ...more] = (await context.cookies()).filter(
    ({ name, domain }) => name === '__Host-rt' && domain === host,
  );
  const asWanted =
    kept?.httpOnly && kept.secure && kept.sameSite === 'Strict' && kept.path === '/' && more.length === 0;
  check(`${host}: the browser keeps __Host-rt as HttpOnly, Secure, SameSite=Strict`, Boolean(asWanted), kept);
  check(`${host}: no script reads it`, (await tab.evaluate<string>('document.cookie')) === '', 'document.cookie');

  await tab.goto(`${gateway}/.well-known/jwks.json`);
  const refreshed = await tab.evaluate<Reply>(post('/v1/auth/refresh', {}));
  check(`${host}: after a reload the session goes on`, refreshed.status === 200 && !refreshed.inBody, refreshed);
  const tabs = await tab.evaluate<Reply[]>(`Promise.all([1, 2, 3].map(() => ${post('/v1/auth/refresh', {})}))`);
  check(
    `${host}: three tabs at once all go on`,
    tabs.every(({ status }) => status === 200),
    tabs,
  );
  const bare = await tab.evaluate<Reply>(post('/v1/auth/refresh', {}, { 'x-requested-with': '' }));
  check(
    `${host}: without X-Requested-With it is refused`,
    bare.status === 403 && bare.code === 'cross_site_refused',
    bare,
  );

  const evil = await context.newPage();
  // Another port is the same site, so the browser sends the cookie. The Origin check refuses the request.
  await evil.goto(`http://${host}:${evilPort}/`);
  const stolen = await evil.evaluate<Reply>(post(`${gateway}/v1/auth/refresh`, {}));
  check(`${host}: a page on another port gets nothing`, !stolen.hasToken, stolen);
  const form = `http://${host}:${evilPort}/form?to=${encodeURIComponent(`${gateway}/v1/auth/logout`)}`;
  await Promise.all([evil.waitForURL('**/v1/auth/logout'), evil.goto(form).catch(() => {})]);
  const landed = await evil.evaluate<string>('location.pathname + " " + document.body.innerText');
  check(`${host}: its form cannot log the user out`, /^\/v1\/auth\/logout .*"status":4\d\d/s.test(landed), landed);

  const alive = await tab.evaluate<Reply>(post('/v1/auth/refresh', {}));
  check(`${host}: all that changed nothing`, alive.status === 200, alive);
  const out = await tab.evaluate<Reply>(post('/v1/auth/logout', {}));
  const left = (await context.cookies()).filter(({ name, domain }) => name === '__Host-rt' && domain === host);
  check(`${host}: a logout clears the cookie`, out.status === 204 && left.length === 0, { out, left });
  const over = await tab.evaluate<Reply>(post('/v1/auth/refresh', {}));
  check(`${host}: and the session is over`, over.status === 401, over);
  await context.close();
}

/** A page on another origin with a form that submits itself. */
const evilPages = createServer((req, res) => {
  const to = new URL(req.url ?? '/', 'http://evil').searchParams.get('to');
  res.setHeader('content-type', 'text/html');
  res.end(
    to === null
      ? '<title>evil</title>'
      : `<form method="post" enctype="text/plain" action="${to}"><input name='{"scope":"all","x":"' value='"}'></form><script>document.forms[0].submit()</script>`,
  );
}).listen(0);
await once(evilPages, 'listening');
const browser = await openBrowser();
try {
  for (const host of ['127.0.0.1', 'localhost']) {
    await trySession(browser, host, (evilPages.address() as AddressInfo).port);
  }
} finally {
  await browser.close();
  evilPages.close();
}
if (failures.length > 0) process.exitCode = 1;
