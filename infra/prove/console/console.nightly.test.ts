import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { eventually } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import type { GatewayUnderTest } from '../../../gateway/test/gateway-under-test.ts';
import { accessibilityProblems, openBrowser, overflow, sizes, unreached, watchPage } from '../../stacks/browser.ts';
import { certificateSite, hostile, hostileSite, otherRealm, realm, realmSite } from './sites.ts';

const paths = [
  '/',
  '/console/routes',
  '/console/routes/things',
  '/console/requests',
  '/console/requests/:id',
  '/console/explain',
  '/console/upstreams',
  '/console/issuers',
  '/console/revocations',
  '/console/limits',
  '/console/reloads',
  '/console/certificates',
  '/console/workers',
];

describe('the console in Chromium', () => {
  let gateway: GatewayUnderTest;
  let browser: Browser;
  let origin: string;
  let refusedId: string;
  beforeAll(async () => {
    browser = await openBrowser();
    gateway = await hostileSite();
    origin = `http://127.0.0.1:${gateway.running.ports.admin}`;
    const refused = JSON.parse(await (await fetch(`${origin}/api/requests?code=insufficient_role`)).text());
    refusedId = refused.requests[0].id;
  });
  afterAll(async () => {
    await browser?.close();
    await gateway?.close();
  });

  const urlOf = (path: string) => origin + path.replace(':id', refusedId);
  /** Opens a page, and checks it for errors afterwards. */
  async function onPage(options: Parameters<Browser['newPage']>[0], use: (page: Page) => Promise<void>): Promise<void> {
    const page = await browser.newPage(options);
    const complaints = watchPage(page, origin);
    await use(page);
    expect(complaints).toEqual([]);
    await page.close();
  }

  describe.each(sizes)('at $width by $height', (viewport) => {
    test.each(['light', 'dark'] as const)(
      '%s: axe finds nothing, and nothing is wider than the screen',
      async (colorScheme) => {
        // The policy is bypassed only for axe, which the test injects into the page.
        await onPage({ viewport, colorScheme, bypassCSP: true }, async (page) => {
          for (const path of paths) {
            await page.goto(urlOf(path));
            expect([path, await accessibilityProblems(page), await overflow(page)]).toEqual([path, [], 0]);
          }
        });
      },
    );

    test('no page violates its policy, or runs content from a client or a file', async () => {
      await onPage({ viewport }, async (page) => {
        for (const path of paths) {
          const response = await page.goto(urlOf(path));
          expect([path, response?.status()]).toEqual([path, 200]);
          expect([path, await page.locator('main img, main script, main iframe').count()]).toEqual([path, 0]);
        }
      });
    });

    test('the keyboard reaches every control, with a visible focus', async () => {
      await onPage({ viewport }, async (page) => {
        for (const path of paths) {
          await page.goto(urlOf(path));
          // A refresh would replace the controls meanwhile.
          const live = page.getByRole('button', { name: 'Live' });
          if (await live.isVisible()) await live.click();
          expect([path, await unreached(page)]).toEqual([path, []]);
        }
      });
    });
  });

  test('the menu of a narrow screen opens, leads to a page and closes by keyboard', async () => {
    await onPage({ viewport: sizes[0] }, async (page) => {
      await page.goto(origin);
      await page.getByRole('button', { name: 'Menu' }).focus();
      await page.keyboard.press('Enter');
      const entry = page.locator('#nav').getByRole('link', { name: 'Upstreams' });
      expect(await entry.isVisible()).toBe(true);
      await page.keyboard.press('Escape');
      expect(await entry.isVisible()).toBe(false);
      await page.keyboard.press('Enter');
      await entry.focus();
      await page.keyboard.press('Enter');
      await page.waitForURL('**/console/upstreams');
    });
  });

  test('shows why a request got 403, within two clicks of the overview', async () => {
    await onPage({ viewport: sizes[2] }, async (page) => {
      await page.goto(origin);
      await page.getByRole('link', { name: 'All refusals' }).click();
      await page
        .getByRole('row', { name: /insufficient_role/ })
        .first()
        .getByRole('link')
        .first()
        .click();
      await page.getByText("the caller's role is agent").waitFor();
    });
  });

  test('shows on the overview which upstream is failing, since when and why', async () => {
    await onPage({ viewport: sizes[2] }, async (page) => {
      await page.goto(origin);
      const item = page.getByRole('listitem').filter({ hasText: 'Upstream down' });
      await item.getByText('failing', { exact: true }).waitFor();
      expect(await item.getByRole('time').count()).toBe(1);
      expect(await item.textContent()).toMatch(/for \d.*upstream_unreachable; 3\d* of 3\d* failed; none has succeeded/);
    });
  });

  test('explains an entered token, and never shows it afterwards', async () => {
    await onPage({ viewport: sizes[2] }, async (page) => {
      const token = await gateway.issuer.accessToken({ role: 'agent' });
      await page.goto(
        `${origin}/console/explain?method=GET&path=${encodeURIComponent(`/v1/things/${encodeURI(hostile)}`)}`,
      );
      await page.getByLabel('Path and query').fill('/v1/admin');
      await page.getByLabel('Access token').fill(token);
      await page.getByRole('button', { name: 'Explain' }).click();
      await page.getByText('insufficient_role').first().waitFor();
      expect(page.url()).toBe(`${origin}/console/explain#answer`);
      expect(await page.getByLabel('Access token').inputValue()).toBe('');
      expect(await page.content()).not.toContain(token.slice(token.lastIndexOf('.') + 1));
    });
  });

  test('passes the caller of a refused request to Explain, which also refuses it', async () => {
    await onPage({ viewport: sizes[2] }, async (page) => {
      await page.goto(`${origin}/console/requests/${refusedId}`);
      await page.getByRole('link', { name: 'Explain this request' }).click();
      expect(await page.getByLabel('Role').inputValue()).toBe('agent');
      await page.getByRole('button', { name: 'Explain' }).click();
      await page.getByRole('status').getByText('insufficient_role').waitFor();
    });
  });

  test('asks for the token of a request whose token was refused', async () => {
    await onPage({ viewport: sizes[0] }, async (page) => {
      await page.goto(`${origin}/console/requests?code=token_issuer_unknown`);
      await page.getByRole('row').getByRole('link').first().click();
      await page.getByRole('link', { name: 'Paste the token to see why' }).click();
      await page.getByText('The gateway keeps no tokens').waitFor();
      await page.getByRole('button', { name: 'Explain' }).click();
      expect(
        await page
          .getByLabel('Access token')
          .evaluate((field: { matches(css: string): boolean }) => field.matches(':invalid')),
      ).toBe(true);
      expect(page.url()).toContain('refused=token_issuer_unknown');
    });
  });

  test.each(sizes)('at $width by $height, shows the refused form below its bar', async (viewport) => {
    const page = await browser.newPage({ viewport });
    await page.goto(`${origin}/console/explain?method=GET&path=/&tenant=acme`);
    await page.getByRole('button', { name: 'Explain' }).click();
    await page.waitForURL(`${origin}/console/explain#answer`);
    const alert = await page.getByRole('alert').boundingBox();
    const bar = await page.getByRole('banner').boundingBox();
    expect(alert?.y).toBeGreaterThanOrEqual((bar?.y ?? 0) + (bar?.height ?? 0));
    await page.close();
  });

  test('shows a field’s problem below it, and keeps the other fields', async () => {
    const page = await browser.newPage({ viewport: sizes[2] });
    await page.goto(`${origin}/console/explain?method=GET&path=/&tenant=acme`);
    const tenant = page.getByLabel('Tenant');
    const before = await tenant.boundingBox();
    await page.getByRole('button', { name: 'Explain' }).click();
    await page.waitForURL(`${origin}/console/explain#answer`);
    expect(await page.locator('#role-error').textContent()).toContain('must not be empty');
    expect((await tenant.boundingBox())?.height).toBe(before?.height);
    await page.close();
  });

  test('refreshes by itself, keeps entered text, and can be paused', async () => {
    await onPage({ viewport: sizes[2] }, async (page) => {
      await page.goto(`${origin}/console/requests`);
      const made = page.locator('.made');
      const before = await made.textContent();
      await eventually(async () => expect(await made.textContent()).not.toBe(before), 15_000);
      await page.getByRole('button', { name: 'Live' }).click();
      expect(await page.getByRole('button', { name: 'Paused' }).getAttribute('aria-pressed')).toBe('false');
      await page.getByRole('button', { name: 'Paused' }).click();
      await page.getByLabel('Request id').fill(hostile);
      const request = page.waitForResponse(`${origin}/console/requests**`);
      await page.keyboard.press('Enter');
      await request;
      expect(await page.getByLabel('Request id').inputValue()).toBe(hostile);
    });
  });

  test('works without JavaScript', async () => {
    await onPage({ viewport: sizes[0], javaScriptEnabled: false }, async (page) => {
      await page.goto(origin);
      expect(await page.locator('#live').isVisible()).toBe(false);
      await page.getByRole('button', { name: 'Menu' }).click();
      await page.locator('#nav').getByRole('link', { name: 'Routes' }).click();
      await page.getByLabel('Search').fill('limited-user');
      await page.getByRole('button', { name: 'Search' }).click();
      await page.getByRole('link', { name: 'limited-user' }).click();
      expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('Route limited-user');
    });
  });

  test('a page of another site can neither read, frame nor post to it', async () => {
    const site = createServer((_request, response) => response.end('<!doctype html><title>evil</title>'));
    site.listen(0, '127.0.0.1');
    await once(site, 'listening');
    const other = await browser.newPage();
    await other.goto(`http://localhost:${(site.address() as AddressInfo).port}`);
    const outcome = await other.evaluate(`(async () => {
      const read = await fetch('${origin}/api/requests').then(() => 'read', () => 'refused');
      const body = new URLSearchParams({ method: 'GET', path: '/' });
      await fetch('${origin}/console/explain', { method: 'POST', mode: 'no-cors', body }).catch(() => {});
      const frame = document.body.appendChild(document.createElement('iframe'));
      frame.src = '${origin}/';
      await new Promise((resolve) => { frame.onload = resolve; });
      return read;
    })()`);
    expect(outcome).toBe('refused');
    const refused = gateway.log.lines().filter(({ path, method }) => path === '/console/explain' && method === 'POST');
    expect(refused.at(-1)).toMatchObject({ status: 403, code: 'origin_not_allowed' });
    const framed = other.frames().find((frame) => frame !== other.mainFrame());
    expect(await framed?.locator('#main').count()).toBe(0);
    await other.close();
    site.close();
  });
});

describe('a gateway that trusts realms with long addresses', () => {
  let gateway: GatewayUnderTest;
  let browser: Browser;
  let page: Page;
  let origin: string;
  beforeAll(async () => {
    browser = await openBrowser();
    page = await browser.newPage({ viewport: { width: 1400, height: 900 } });
    gateway = await realmSite();
    origin = `http://127.0.0.1:${gateway.running.ports.admin}`;
  });
  afterAll(async () => {
    await browser?.close();
    await gateway?.close();
  });

  /** The tables that are wider than their container. */
  const cutTables = () =>
    page
      .locator('.scroll')
      .evaluateAll((all: { scrollWidth: number; clientWidth: number; getAttribute(name: string): string | null }[]) =>
        all.filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.getAttribute('aria-label')),
      );

  test.each(paths.filter((path) => !path.includes(':id')))('no table of %s is cut off at 1400 px', async (path) => {
    await page.goto(origin + path.replace('things', 'exports'));
    expect([await cutTables(), await overflow(page)]).toEqual([[], 0]);
  });

  test.each([
    [realm, `${realm}/another`],
    [otherRealm, `${realm}/another`],
    [`${realm}/unknown`, 'complaints-api'],
  ])('no reason to refuse a token of %s for %s is cut off at 1400 px', async (iss, aud) => {
    await page.goto(`${origin}/console/explain?method=GET&path=/v1/exports/1`);
    await page.getByLabel('Access token').fill(await gateway.issuer.accessToken({ iss, aud, tenant_id: 'acme' }));
    await page.getByRole('button', { name: 'Explain' }).click();
    await page.getByText('Header and claims').waitFor();
    expect([await cutTables(), await overflow(page)]).toEqual([[], 0]);
  });
});

describe('the certificates page with real certificates', () => {
  let gateway: GatewayUnderTest;
  let browser: Browser;
  let origin: string;
  beforeAll(async () => {
    browser = await openBrowser();
    gateway = await certificateSite();
    origin = `http://127.0.0.1:${gateway.running.ports.admin}`;
  });
  afterAll(async () => {
    await browser?.close();
    await gateway?.close();
  });

  test.each(sizes)('at $width by $height, axe finds nothing, and no text is cut off', async (viewport) => {
    for (const colorScheme of ['light', 'dark'] as const) {
      const page = await browser.newPage({ viewport, colorScheme, bypassCSP: true });
      await page.goto(`${origin}/console/certificates`);
      const table = page.getByRole('region', { name: 'Certificates' });
      const cut = await table.evaluate((region: { scrollWidth: number; clientWidth: number }) =>
        Math.max(0, region.scrollWidth - region.clientWidth),
      );
      expect([colorScheme, await accessibilityProblems(page), await overflow(page), cut]).toEqual([
        colorScheme,
        [],
        0,
        0,
      ]);
      await page.close();
    }
  });

  test('lists certificates by expiry, and a shared one only once', async () => {
    const page = await browser.newPage({ viewport: sizes[2] });
    await page.goto(`${origin}/console/certificates`);
    const rows = await page.getByRole('row').allTextContents();
    const expected = [
      /^upstream payments leaf.*expired \d+ (?:s|min) ago/,
      /^upstream invoices leaf.*11 h \d+ min left/,
      /^public listener leaf.*for gateway\.eu-central-1.*4 d 23 h left/,
      /^clients of the public listener CA.*self-signed.*19 d 23 h left/,
      /^upstream orders leaf.*89 d 23 h left/,
      /^public listener chainupstream payments CAupstream orders CAupstream invoices CA.*399 d 23 h left/,
    ];
    expect(rows.slice(1)).toEqual(expected.map((row) => expect.stringMatching(row)));
    await page.goto(origin);
    const attention = page.getByRole('region', { name: 'Needs attention' }).getByRole('listitem');
    expect(await attention.first().textContent()).toMatch(/Certificate of the upstream payments.*expired/);
    await page.close();
  });

  test('shows which files can no longer be read', async () => {
    const page = await browser.newPage({ viewport: sizes[2] });
    await eventually(async () => {
      await page.goto(`${origin}/console/certificates`);
      expect(await page.locator('main').textContent()).toMatch(/TLS files of upstream orders.*contains no certificate/);
    }, 15_000);
    await page.close();
  });
});
