import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, resolve } from 'node:path';
import { installTools, type StartedProcess } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { errorTable } from '../../../gateway/src/errors.ts';
import { accessibilityProblems, openBrowser, overflow, sizes, watchPage } from '../../stacks/browser.ts';
import { makePlace, type Place, startEverything } from '../../stacks/stack.ts';

const folder = resolve(import.meta.dirname, '../../../docs/.vitepress');
const dist = join(folder, 'dist');
const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.json': 'application/json',
};

/** Serves the site as static hosts do: `/errors/token_missing` is the file `errors/token_missing.html`. */
const siteServer = (): Server =>
  createServer((request, response) => {
    const path = join(dist, decodeURIComponent(new URL(request.url ?? '', 'http://a').pathname));
    const file = [path, `${path}.html`, join(path, 'index.html')].find(
      (one) => existsSync(one) && statSync(one).isFile(),
    );
    const headers = { 'content-type': types[extname(file ?? '.html')] ?? 'text/plain; charset=utf-8' };
    response.writeHead(file === undefined ? 404 : 200, headers).end(readFileSync(file ?? join(dist, '404.html')));
  });

/** What people and programs look for, and the pages that answer it. */
const questions: readonly (readonly [question: string, ...answers: string[]])[] = [
  ['token_missing', '/debugging', '/errors/'],
  ['errors.docs', '/gateway-yaml', '/errors/'],
  ['X-User-Id', '/identity-contract'],
  ['countersign explain', '/gateway/', '/debugging'],
  ['rotate keys', '/operations/keys'],
  ['keycloak', '/providers/keycloak', '/providers/logout-with-keycloak'],
  ['nginx', '/behind-a-proxy', '/examples/behind-nginx/'],
  ['fastapi', '/service-in-python'],
  ['kubernetes', '/operations/kubernetes'],
  ['websocket', '/browsers', '/gateway-yaml'],
  ['what does token_missing mean', '/errors/token_missing'],
  ['why do I get 401', '/debugging'],
  ['invite a user', '/operations/accounts'],
  ['docker run', '/operations/containers'],
  ['How do I rotate keys', '/operations/keys'],
  ['threat model', '/threat-model'],
  ['report a vulnerability', '/SECURITY'],
  ['401 token expired', '/debugging', '/errors/token_expired'],
  ['get user in express', '/examples/express/', '/packages/identity/'],
  ['python fastapi verify header', '/service-in-python'],
  ['go unit test fake user', '/service-in-go'],
  ['public path without login', '/gateway-yaml'],
  ['kubernetes readiness probe', '/operations/kubernetes'],
  ['rotate keys without logging out', '/operations/keys'],
  ['alg none attack', '/threat-model'],
  ['keycloak logout immediately', '/providers/logout-with-keycloak'],
  ['vs oauth2-proxy', '/moving-to-countersign', '/comparison'],
  ['cors', '/browsers'],
  ['compare with kong', '/comparison'],
];

describe('the site in Chromium', () => {
  let browser: Browser;
  let server: Server;
  let origin: string;
  let paths: readonly string[];
  beforeAll(async () => {
    installTools(folder);
    execFileSync('npm', ['run', 'build'], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
    paths = globSync('**/*.html', { cwd: dist })
      .filter((file) => file !== '404.html')
      .map((file) => `/${file.replace(/(?:(?<=^|\/)index)?\.html$/, '')}`);
    server = siteServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    browser = await openBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    server?.close();
  });

  /** Opens these pages, two at a time, and returns what must not be on them. */
  async function onPages(
    visited: readonly string[],
    options: BrowserContextOptions,
    check: (page: Page, path: string) => Promise<unknown>,
  ): Promise<readonly unknown[]> {
    const waiting = [...visited];
    const found: unknown[] = [];
    const visit = async () => {
      const context = await browser.newContext(options);
      const page = await context.newPage();
      const complaints = watchPage(page, origin);
      for (let path = waiting.shift(); path !== undefined; path = waiting.shift()) {
        const response = await page.goto(origin + path);
        if (response?.status() !== 200) found.push([path, response?.status()]);
        found.push(...[await check(page, path)].flat());
      }
      found.push(...complaints);
      await context.close();
    };
    await Promise.all([visit(), visit()]);
    return found;
  }

  const problemsOf = async (page: Page, path: string) => {
    await page.locator('#before-scripts').waitFor({ state: 'detached' });
    const problems = await accessibilityProblems(page);
    return problems.map(({ id, nodes }) => [path, id, nodes.slice(0, 2)]);
  };

  test('has a page for each error code, every page as Markdown, and an index of them', () => {
    const index = readFileSync(join(dist, 'llms.txt'), 'utf8');
    expect(Object.keys(errorTable).filter((code) => !paths.includes(`/errors/${code}`))).toEqual([]);
    const files = paths.map((path) => path.replace(/\/$/, '/index').replace(/$/, '.md'));
    expect(files.filter((file) => !existsSync(join(dist, file)))).toEqual([]);
    expect(files.filter((file) => file !== '/index.md' && !index.includes(`](${file}): `))).toEqual([]);
  });

  test('no page logs an error, asks another host, is too wide or has a dead link, also as Markdown', async () => {
    const links = new Map<string, readonly string[]>();
    const ids = new Map<string, readonly string[]>();
    const problems = await onPages(paths, {}, async (page, path) => {
      links.set(path, await page.evaluate('[...document.links].map(({ href }) => href)'));
      ids.set(path, await page.evaluate("[...document.querySelectorAll('[id]')].map(({ id }) => id)"));
      const tooWide: unknown[] = [];
      for (const size of sizes) {
        await page.setViewportSize(size);
        if ((await overflow(page)) !== 0) tooWide.push([`too wide: ${path}`, size]);
      }
      return tooWide;
    });
    for (const file of globSync('**/*.md', { cwd: dist })) {
      const text = readFileSync(join(dist, file), 'utf8').replaceAll(/^(`{3,})[\s\S]*?^\1$|`[^`\n]+`/gm, '');
      const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(
        ([, target = '']) => new URL(target, `${origin}/${file}`),
      );
      links.set(
        file,
        targets.map(({ href }) => href.replace(/(?:(?<=\/)index)?\.md(?=#|$)/, '')),
      );
    }
    const isDead = (href: string) => {
      const { pathname, hash } = new URL(href);
      const found = ids.get(pathname);
      if (found === undefined) return !existsSync(join(dist, pathname)) || statSync(join(dist, pathname)).isDirectory();
      return hash !== '' && !found.includes(decodeURIComponent(hash.slice(1)));
    };
    const dead = [...links].flatMap(([from, all]) =>
      all.filter((href) => href.startsWith(`${origin}/`) && isDead(href)).map((href) => `${from}: ${href}`),
    );
    expect([problems, dead]).toEqual([[], []]);
  }, 300_000);

  // The pages of the codes differ only in text. axe needs two seconds for a page.
  test.each([
    ['light', sizes[0]],
    ['dark', sizes[1]],
    ['light', sizes[2]],
    ['dark', sizes[2]],
  ] as const)(
    '%s, %o: axe finds nothing',
    async (colorScheme, viewport) => {
      const different = paths.filter((path) => !/^\/errors\/(?!token_missing)./.test(path));
      expect(await onPages(different, { viewport, colorScheme, bypassCSP: true }, problemsOf)).toEqual([]);
    },
    600_000,
  );

  test.each(questions)(
    'a search for “%s” finds its answer among the first three results',
    async (question, ...answers) => {
      const page = await browser.newPage({ viewport: sizes[2] });
      await page.goto(origin, { waitUntil: 'networkidle' });
      await page.keyboard.press('Control+k');
      await page.locator('#localsearch-input').fill(question);
      await page.locator('.VPLocalSearchBox .result').first().waitFor();
      const found = await page
        .locator('.VPLocalSearchBox .result')
        .evaluateAll((all: { pathname: string }[]) => all.slice(0, 3).map(({ pathname }) => pathname));
      expect(found.filter((path) => answers.includes(path))).not.toEqual([]);
      await page.close();
    },
  );

  test.each(sizes)('at %o a link leads to its heading, and nothing moves while the page loads', async (viewport) => {
    const page = await browser.newPage({ viewport });
    await page.goto(`${origin}/tutorial`, { waitUntil: 'networkidle' });
    const moved = await page.evaluate(`new Promise((resolve) => new PerformanceObserver((list) => resolve(
      list.getEntries().reduce((sum, { value }) => sum + value, 0))).observe({ type: 'layout-shift', buffered: true }))`);
    expect(moved).toBeLessThan(0.02);
    await page.goto(`${origin}/tutorial#6-the-first-403-explained`, { waitUntil: 'networkidle' });
    await page.reload({ waitUntil: 'networkidle' });
    expect((await page.locator('[id^="6-"]').boundingBox())?.y).toBeLessThan(200);
    await page.close();
  });

  test('a link to a heading in a hidden tab opens the tab', async () => {
    const page = await browser.newPage({ viewport: sizes[2] });
    await page.goto(`${origin}/service-in-python#flask`);
    await page.locator('#flask').waitFor();
    expect(await page.locator('#fastapi').isVisible()).toBe(false);
    await page.getByRole('button', { name: 'Django' }).click();
    expect([await page.locator('#flask').isVisible(), await page.locator('#django').isVisible()]).toEqual([
      false,
      true,
    ]);
    await page.close();
  });

  test('the copy button takes the commands of a session, without prompts and output', async () => {
    const context = await browser.newContext({ permissions: ['clipboard-read', 'clipboard-write'] });
    const page = await context.newPage();
    await page.goto(`${origin}/operations/routes`, { waitUntil: 'networkidle' });
    const block = page.locator('.language-console', { hasText: '2 problems' });
    await block.hover();
    await block.locator('button.copy').click();
    await block.locator('button.copied').waitFor();
    const copied = String(await page.evaluate('navigator.clipboard.readText()'));
    expect(copied.split('\n').filter(Boolean)).toEqual([
      String.raw`sed -i.bak 's/\[GET$/[GET]/' gateway.yaml`,
      'npx countersign check',
      "sed -i.bak 's/helo$/hello/; s/pubic/public/' gateway.yaml",
      'npx countersign check',
    ]);
    await context.close();
  });

  describe('beside the account pages', () => {
    let place: Place;
    let everything: StartedProcess;
    beforeAll(async () => {
      place = await makePlace({ databaseUrl: undefined, redisUrl: undefined });
      everything = await startEverything(place);
    });
    afterAll(async () => {
      await everything?.stop();
      await place?.remove();
    });

    /** Milliseconds until the largest content was painted, on a processor that is four times as slow. */
    async function largestPaint(url: string): Promise<number> {
      const page = await browser.newPage({ viewport: sizes[0] });
      const session = await page.context().newCDPSession(page);
      await session.send('Emulation.setCPUThrottlingRate', { rate: 4 });
      await page.goto(url, { waitUntil: 'networkidle' });
      const paint = await page.evaluate(`new Promise((resolve) => new PerformanceObserver((list) =>
        resolve(list.getEntries().at(-1).startTime)).observe({ type: 'largest-contentful-paint', buffered: true }))`);
      await page.close();
      return Number(paint);
    }

    test('the largest paint at a slowdown of four is no later than that of the login page', async () => {
      const login = `http://127.0.0.1:${place.ports.gateway}/login`;
      const times: Record<string, number[]> = {};
      for (let round = 0; round < 7; round += 1)
        for (const url of [login, `${origin}/`, `${origin}/tutorial`, `${origin}/errors/token_missing`])
          times[url] = [...(times[url] ?? []), await largestPaint(url)];
      const medians = Object.values(times).map((all) => all.toSorted((a, b) => a - b)[3] ?? 0);
      const [account = 0, ...site] = medians;
      if (process.env.FIGURES) process.stdout.write(`LCP: ${JSON.stringify(medians)}\n`);
      expect(Math.max(...site)).toBeLessThanOrEqual(account);
    });
  });
});
