import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { password } from './client.ts';

/*
 * A browser's session with cookies, in a real Chromium against a running stack:
 *
 *     npm start                                                  (in one terminal)
 *     npx node --conditions=source infra/e2e/browser-session.ts  (in another; CHROMIUM names the binary)
 *
 * Not part of the suite: a browser is 300 MB that `npm ci` does not bring.
 */

const gatewayPort = process.env.GATEWAY_PORT ?? '8080';
const chromium = process.env.CHROMIUM ?? 'chromium';

type Reply = { status: number; code?: string; hasToken: boolean; inBody: boolean };
type Cookie = { name: string; httpOnly: boolean; secure: boolean; sameSite: string; path: string; domain: string };
type Message = { id?: number; method?: string; result?: Record<string, unknown>; error?: { message: string } };

/** Controls one tab over the DevTools protocol. */
async function openTab(endpoint: string) {
  const { webSocketDebuggerUrl } = (await (
    await fetch(`${endpoint}/json/new?about:blank`, { method: 'PUT' })
  ).json()) as {
    webSocketDebuggerUrl: string;
  };
  const socket = new WebSocket(webSocketDebuggerUrl);
  await once(socket, 'open');
  const waiting = new Map<number, (message: Message) => void>();
  const loads: (() => void)[] = [];
  socket.addEventListener('message', ({ data }) => {
    const message = JSON.parse(String(data)) as Message;
    if (message.id !== undefined) waiting.get(message.id)?.(message);
    if (message.method === 'Page.loadEventFired') for (const loaded of loads.splice(0)) loaded();
  });
  let last = 0;
  const send = async (method: string, params: object = {}): Promise<Record<string, unknown>> => {
    last += 1;
    const id = last;
    const answered = new Promise<Message>((resolve) => waiting.set(id, resolve));
    socket.send(JSON.stringify({ id, method, params }));
    const { result, error } = await answered;
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result ?? {};
  };
  await send('Page.enable');
  await send('Network.enable');
  return {
    async visit(url: string): Promise<void> {
      const loaded = new Promise<void>((resolve) => loads.push(resolve));
      await send('Page.navigate', { url });
      await loaded;
    },
    async evaluate<T>(expression: string): Promise<T> {
      const answer = (await send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true })) as {
        result: { value: T };
        exceptionDetails?: { text: string };
      };
      if (answer.exceptionDetails !== undefined) throw new Error(`${expression}: ${answer.exceptionDetails.text}`);
      return answer.result.value;
    },
    cookies: async (): Promise<Cookie[]> => (await send('Network.getAllCookies')).cookies as Cookie[],
    close: () => socket.close(),
  };
}

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

async function trySession(endpoint: string, host: string, evilPort: number): Promise<void> {
  const gateway = `http://${host}:${gatewayPort}`;
  const tab = await openTab(endpoint);
  // The gateway serves no pages, but any of its answers gives a script its origin.
  await tab.visit(`${gateway}/.well-known/jwks.json`);
  const login = { email: 'agent@acme.test', password, transport: 'cookie' };
  const loggedIn = await tab.evaluate<Reply>(post('/v1/auth/login', login));
  check(
    `${host}: a login gives an access token, and no refresh token to scripts`,
    loggedIn.status === 200 && loggedIn.hasToken && !loggedIn.inBody,
    loggedIn,
  );
  const [kept, ...more] = (await tab.cookies()).filter(({ name, domain }) => name === '__Host-rt' && domain === host);
  const asWanted =
    kept?.httpOnly && kept.secure && kept.sameSite === 'Strict' && kept.path === '/' && more.length === 0;
  check(`${host}: the browser keeps __Host-rt as HttpOnly, Secure, SameSite=Strict`, Boolean(asWanted), kept);
  check(`${host}: no script reads it`, (await tab.evaluate<string>('document.cookie')) === '', 'document.cookie');

  await tab.visit(`${gateway}/.well-known/jwks.json`);
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

  const evil = await openTab(endpoint);
  // Another port is the same site, so the browser sends the cookie. The Origin check refuses the request.
  await evil.visit(`http://${host}:${evilPort}/`);
  const stolen = await evil.evaluate<Reply>(post(`${gateway}/v1/auth/refresh`, {}));
  check(`${host}: a page on another port gets nothing`, !stolen.hasToken, stolen);
  await evil.visit(`http://${host}:${evilPort}/form?to=${encodeURIComponent(`${gateway}/v1/auth/logout`)}`);
  const landed = await evil.evaluate<string>('location.pathname + " " + document.body.innerText');
  check(`${host}: its form cannot log the user out`, /^\/v1\/auth\/logout .*"status":4\d\d/s.test(landed), landed);
  evil.close();

  const alive = await tab.evaluate<Reply>(post('/v1/auth/refresh', {}));
  check(`${host}: all that changed nothing`, alive.status === 200, alive);
  const out = await tab.evaluate<Reply>(post('/v1/auth/logout', {}));
  const left = (await tab.cookies()).filter(({ name, domain }) => name === '__Host-rt' && domain === host);
  check(`${host}: a logout clears the cookie`, out.status === 204 && left.length === 0, { out, left });
  const over = await tab.evaluate<Reply>(post('/v1/auth/refresh', {}));
  check(`${host}: and the session is over`, over.status === 401, over);
  tab.close();
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

const profile = mkdtempSync(join(tmpdir(), 'countersign-browser-'));
const browser = spawn(
  chromium,
  ['--headless=new', '--no-sandbox', '--disable-gpu', '--remote-debugging-port=0', `--user-data-dir=${profile}`],
  {
    stdio: ['ignore', 'ignore', 'pipe'],
  },
);
try {
  const endpoint = await new Promise<string>((resolve, reject) => {
    let said = '';
    browser.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      const [, host] = /DevTools listening on ws:\/\/([^/]+)/.exec(said) ?? [];
      if (host !== undefined) resolve(`http://${host}`);
    });
    browser.once('error', reject);
    browser.once('close', () => reject(new Error(`${chromium} ended: ${said}`)));
  });
  for (const host of ['127.0.0.1', 'localhost']) {
    await trySession(endpoint, host, (evilPages.address() as AddressInfo).port);
  }
} finally {
  if (browser.exitCode === null && browser.kill()) await once(browser, 'close');
  evilPages.close();
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
}
if (failures.length > 0) process.exitCode = 1;
