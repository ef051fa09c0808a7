import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { eventually, type StartedProcess } from '@countersign/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { build } from 'esbuild';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { password } from '../../stacks/client.ts';
import { makePlace, type Place, repository, startEverything } from '../../stacks/stack.ts';
import { testGeneratedClient } from './generated-client.ts';

describe('in Chromium, through the gateway', () => {
  let place: Place;
  let everything: StartedProcess;
  let browser: Browser;
  let gateway: string;
  beforeAll(async () => {
    place = await makePlace({ databaseUrl: undefined, redisUrl: undefined });
    everything = await startEverything(place);
    gateway = `http://127.0.0.1:${place.ports.gateway}`;
    browser = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: ['--no-sandbox'],
    });
  });
  afterAll(async () => {
    await browser?.close();
    await everything?.stop();
    await place?.remove();
  });

  test('the API page shows the operations, asks no other host, and violates no policy', async () => {
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    const requested: string[] = [];
    const complaints: string[] = [];
    page.on('request', (request) => requested.push(request.url()));
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    await page.goto(`${gateway}/docs`);
    await page.getByRole('heading', { name: 'Countersign' }).waitFor();
    for (const group of ['Sessions', 'Users'])
      await page.getByRole('button', { name: `Open Group - ${group}` }).click();
    await page.getByRole('link', { name: /Read your own profile/ }).click();
    await page.getByText('/v1/users/me').first().waitFor();
    await page.waitForLoadState('networkidle');
    expect(await page.title()).toBe('Countersign');
    expect(await page.getByText('Test Request').count()).toBe(0);
    expect(requested.filter((url) => !url.startsWith(gateway) && !url.startsWith('data:'))).toEqual([]);
    expect(complaints).toEqual([]);
    if (process.env.SCREENSHOTS) await page.screenshot({ path: join(process.env.SCREENSHOTS, 'api-page.png') });
    await page.close();
  });

  test('the API page has an origin of its own, so that its script cannot use the session', async () => {
    const page = await browser.newPage();
    await page.goto(`${gateway}/docs`);
    expect(await page.evaluate('window.origin')).toBe('null');
    const refresh = `fetch('/v1/auth/refresh', { method: 'POST' }).then(() => 'sent', (error) => error.name)`;
    expect(await page.evaluate(refresh)).toBe('TypeError');
    await page.close();
  });

  testGeneratedClient(() => gateway);

  describe.each(['127.0.0.1', 'localhost'])('a session with cookies at %s', (host) => {
    let context: BrowserContext;
    let tab: Page;
    const origin = () => `http://${host}:${place.ports.gateway}`;
    // A script on any page of the gateway has its origin.
    const load = () => tab.goto(`${origin()}/.well-known/jwks.json`);
    const refreshCookies = async () => (await context.cookies()).filter(({ name }) => name === '__Host-rt');
    beforeAll(async () => {
      context = await browser.newContext();
      tab = await context.newPage();
      await load();
    });
    afterAll(() => context.close());

    test('the refresh token is only in a cookie that scripts cannot read', async () => {
      const login = { email: 'agent@acme.test', password, transport: 'cookie' };
      expect(await tab.evaluate(post('/v1/auth/login', login))).toEqual([200, true, false]);
      const wanted = { domain: host, path: '/', httpOnly: true, secure: true, sameSite: 'Strict' };
      expect(await refreshCookies()).toEqual([expect.objectContaining(wanted)]);
      expect(await tab.evaluate('document.cookie')).toBe('__Host-signed-in=1');
    });

    test('the session continues after a reload, in three tabs at the same time', async () => {
      await load();
      expect(await tab.evaluate(post('/v1/auth/refresh', {}))).toEqual([200, true, false]);
      const refresh = post('/v1/auth/refresh', {});
      const tabs = await tab.evaluate(`Promise.all([1, 2, 3].map(() => ${refresh}))`);
      expect(tabs).toEqual([1, 2, 3].map(() => [200, true, false]));
    });

    test('a request without X-Requested-With, or from a page of the same site, cannot use the cookie', async () => {
      const bare = post('/v1/auth/refresh', {}, { 'x-requested-with': '' });
      expect(await tab.evaluate(bare)).toEqual([403, false, false]);
      // Another port is the same site, so the browser sends the cookie.
      const elsewhere = createServer((_req, res) => {
        const form = `<form method="post" enctype="text/plain" action="${origin()}/v1/auth/logout">`;
        res.setHeader('content-type', 'text/html').end(`${form}<input name='{"scope":"all","x":"' value='"}'></form>`);
      }).listen(0, '127.0.0.1');
      await once(elsewhere, 'listening');
      const evil = await context.newPage();
      await evil.goto(`http://${host}:${(elsewhere.address() as AddressInfo).port}/`);
      expect(await evil.evaluate(post(`${origin()}/v1/auth/refresh`, {}))).toEqual(['blocked', false, false]);
      const answered = evil.waitForResponse('**/v1/auth/logout');
      await evil.evaluate('document.forms[0].submit()');
      expect(String((await answered).status())).toMatch(/^4/);
      elsewhere.close().closeAllConnections();
      expect(await tab.evaluate(post('/v1/auth/refresh', {}))).toEqual([200, true, false]);
    });

    test('a logout clears the cookie and ends the session', async () => {
      expect(await tab.evaluate(post('/v1/auth/logout', {}))).toEqual([204, false, false]);
      expect(await refreshCookies()).toEqual([]);
      expect(await tab.evaluate(post('/v1/auth/refresh', {}))).toEqual([401, false, false]);
    });
  });

  describe('packages/client', () => {
    let script: string;
    let context: BrowserContext;
    let refreshes: number;
    beforeAll(async () => {
      const { outputFiles } = await build({
        entryPoints: [resolve(repository, 'packages/client/src/index.ts')],
        bundle: true,
        format: 'iife',
        globalName: 'countersign',
        write: false,
      });
      script = outputFiles[0]?.text ?? '';
    });
    beforeEach(async () => {
      context = await browser.newContext();
      refreshes = 0;
      context.on('request', (request) => {
        if (request.url().endsWith('/v1/auth/refresh')) refreshes += 1;
      });
    });
    afterEach(() => context.close());

    /**
     * A page of the gateway's origin with a client, like in an app. It records the sessions that the client reports.
     */
    async function openTab(options: object = {}): Promise<Page> {
      const page = await context.newPage();
      await load(page, options);
      return page;
    }
    async function load(page: Page, options: object = {}): Promise<void> {
      // Any response gives a script the gateway's origin. This one has no content security policy of its own.
      await page.goto(`${gateway}/.well-known/jwks.json`);
      await page.addScriptTag({ content: script });
      await page.evaluate(
        `globalThis.seen = []; globalThis.client = countersign.createClient({
          ...${JSON.stringify(options)}, onSession: (session) => seen.push(session?.user.email) })`,
      );
    }
    const logIn = (page: Page): Promise<unknown> =>
      page.evaluate(
        `client.logIn({ email: 'agent@acme.test', password: ${JSON.stringify(password)} }).then(({ data }) => data)`,
      );
    const resume = (page: Page): Promise<unknown> => page.evaluate('client.resume().then((session) => session?.id)');
    const role = (page: Page): Promise<unknown> =>
      page.evaluate(`client.api.GET('/v1/users/me').then(({ data, error }) => data?.role ?? error.code)`);

    test('two tabs that refresh at the same time use one refresh', async () => {
      const tabs = [await openTab(), await openTab()] as const;
      const tokens = (await logIn(tabs[0])) as { session_id: string; refresh_token?: string };
      expect(tokens.refresh_token).toBeUndefined();
      // A loaded page has no access token. Both tabs have the cookie.
      await Promise.all(tabs.map((tab) => load(tab)));
      // The first response waits until both tabs have asked. Otherwise one tab may ask only after the other has
      // finished.
      const bothAsked = Promise.withResolvers<void>();
      await context.route('**/v1/auth/refresh', (route) => bothAsked.promise.then(() => route.continue()));
      await Promise.all(tabs.map((tab) => tab.evaluate('globalThis.resumed = client.resume(); undefined')));
      bothAsked.resolve();
      const resumed = (tab: Page): Promise<unknown> => tab.evaluate('resumed.then((session) => session?.id)');
      expect(await Promise.all(tabs.map(resumed))).toEqual([tokens.session_id, tokens.session_id]);
      expect(refreshes).toBe(1);
      expect(await Promise.all(tabs.map(role))).toEqual(['agent', 'agent']);
      expect(refreshes).toBe(1);
    });

    test('a login or logout in one tab also applies to the other', async () => {
      const [first, second] = [await openTab(), await openTab()] as const;
      await logIn(first);
      await second.waitForFunction('client.session !== undefined');
      expect(await role(second)).toBe('agent');
      await first.evaluate('client.logOut()');
      await second.waitForFunction('client.session === undefined');
      expect(await second.evaluate('seen')).toEqual(['agent@acme.test', undefined]);
      expect(await role(second)).toBe('token_missing');
      expect(await resume(first)).toBeUndefined();
    });

    test('live events arrive over a request with the bound token in a header', async () => {
      const page = await openTab({ dpop: true });
      await logIn(page);
      await page.evaluate(`void (async () => {
        globalThis.events = [];
        for await (const { event, data } of client.events('/v1/complaints/events')) events.push([event, JSON.parse(data)]);
      })()`);
      const file = `client.api.POST('/v1/complaints', {
        body: { title: 'Dark street', description: 'No light.', category: 'Lighting' },
        headers: { 'idempotency-key': crypto.randomUUID() } }).then(({ response }) => response.status)`;
      // Events before the stream is open are not sent to it.
      await eventually(async () => {
        expect(await page.evaluate(file)).toBe(201);
        expect(await page.evaluate('events.length')).toBeGreaterThan(0);
      });
      expect(await page.evaluate('events[0][0]')).toEqual(expect.any(String));
    });

    test('a session is bound to a key that outlives the page and cannot be exported', async () => {
      const page = await openTab({ dpop: true });
      expect(await logIn(page)).toMatchObject({ token_type: 'DPoP' });
      await load(page, { dpop: true });
      expect(await resume(page)).toEqual(expect.any(String));
      expect(await role(page)).toBe('agent');
      const stolen = page.evaluate(`new Promise((resolve, reject) => {
        const opening = indexedDB.open('countersign');
        opening.onsuccess = () => {
          const asking = opening.result.transaction('keys').objectStore('keys').get('dpop');
          asking.onsuccess = () => crypto.subtle.exportKey('jwk', asking.result.privateKey).then(resolve, reject);
        };
      })`);
      await expect(stolen).rejects.toThrow(/not extractable/);
      // A page without the key cannot use the cookie.
      await load(page);
      expect(await resume(page)).toBeUndefined();
    });
  });
});

/** The script of a page that posts: the status, and whether the body has an access and a refresh token. */
const post = (url: string, body: object, headers: object = {}): string => `
  fetch(${JSON.stringify(url)}, {
    method: 'POST', credentials: 'include',
    headers: { 'content-type': 'application/json', 'x-requested-with': 'fetch', ...${JSON.stringify(headers)} },
    body: ${JSON.stringify(JSON.stringify(body))},
  }).then(async (answer) => {
    const text = await answer.text();
    return [answer.status, text.includes('"access_token"'), text.includes('"refresh_token"')];
  }, () => ['blocked', false, false])`;

test('the script of the API page is the one in the npm registry', () => {
  const assets = resolve(repository, 'packages/service-kit/assets');
  const folder = mkdtempSync(join(tmpdir(), 'countersign-scalar-'));
  try {
    execFileSync('npm', ['pack', '@scalar/api-reference@1.72.1'], { cwd: folder, stdio: 'pipe' });
    execFileSync('tar', ['xzf', 'scalar-api-reference-1.72.1.tgz', 'package/dist/browser/standalone.js'], {
      cwd: folder,
    });
    const original = readFileSync(join(folder, 'package/dist/browser/standalone.js'));
    expect(gunzipSync(readFileSync(join(assets, 'scalar-1.72.1.js.gz'))).equals(original)).toBe(true);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
