import { eventually, type StartedProcess } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { accessibilityProblems, openBrowser, overflow, sizes, unreached, watchPage } from '../../stacks/browser.ts';
import { makePlace, type Place, startEverything } from '../../stacks/stack.ts';
import { bundleSizes, openPage, writeDraft } from '../../stacks/web-pages.ts';

describe('web/ in Chromium', () => {
  let place: Place;
  let everything: StartedProcess;
  let browser: Browser;
  let origin: string;
  beforeAll(async () => {
    place = await makePlace({ databaseUrl: undefined, redisUrl: undefined });
    everything = await startEverything(place);
    origin = `http://127.0.0.1:${place.ports.gateway}`;
    browser = await openBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    await everything?.stop();
    await place?.remove();
  });

  test('a user files a complaint on a phone, staff move it by keyboard, and the user sees the change', async () => {
    const complainant = await openPage(browser, origin, 'complainant@acme.test', { viewport: sizes[0] });
    const complaints = watchPage(complainant, origin);
    await writeDraft(complainant, origin, 'The lamp at the bridge is out');
    await complainant.getByRole('button', { name: 'File complaint' }).click();
    await complainant.getByRole('link', { name: 'Open the complaint' }).click();
    await complainant.getByText('We have your complaint.').waitFor();

    const staff = await openPage(browser, origin, 'agent@acme.test', { viewport: sizes[2] });
    const troubles = watchPage(staff, origin);
    await staff.goto(`${origin}/app/queue?sort=newest`);
    await staff.getByRole('link', { name: /The lamp at the bridge is out/ }).waitFor();
    await staff.keyboard.press('j');
    await staff.keyboard.press('Enter');
    await staff.getByRole('heading', { name: 'The lamp at the bridge is out' }).waitFor();
    await staff.keyboard.press('m');
    await staff.getByRole('dialog').getByRole('button', { name: 'Start work' }).press('Enter');
    await staff.getByRole('button', { name: 'Resolve' }).waitFor();

    // Without a reload: an event updates the page.
    await complainant.getByText('We are working on it.').waitFor();
    expect([complaints, troubles]).toEqual([[], []]);
  });

  test('a first visit sends no refresh, and logs no error in the console', async () => {
    const page = await (await browser.newContext()).newPage();
    const troubles = watchPage(page, origin);
    await page.goto(`${origin}/app/`);
    await page.getByRole('link', { name: 'Log in' }).waitFor();
    expect(troubles).toEqual([]);
  });

  test.each(['127.0.0.1', 'localhost'])('at %s, the three buttons of / work, and store nothing', async (host) => {
    const site = `http://${host}:${place.ports.gateway}`;
    const page = await browser.newPage({ viewport: sizes[0] });
    const troubles = watchPage(page, site);
    await page.goto(`${site}/`);
    await page.getByRole('radio', { name: /^admin@globex/ }).check();
    const press = async (name: string, section: number): Promise<string | null> => {
      await page.getByRole('button', { name }).click();
      const status = page.getByRole('status').nth(section);
      await status.getByText(/\.$/).waitFor();
      return status.textContent();
    };
    expect(await press('Send a request', 0)).toBe(
      'The service answered 200. It received neither the token nor “the-boss”: the caller has the id 01936f00-0000-7000-8000-000000000023 and the role admin.',
    );
    const received = page.getByRole('table', { name: /^What the service received/ });
    for (const name of ['x-user-id', 'x-tenant-id', 'x-identity-audience', 'signature', 'signature-input']) {
      await received.getByRole('rowheader', { name, exact: true }).waitFor();
    }
    for (const name of ['authorization', 'cookie', 'txn-token']) {
      expect(await page.getByRole('rowheader', { name, exact: true }).count()).toBe(name === 'authorization' ? 1 : 0);
    }
    // The demonstration sends one a second, and the test of the other name has just sent one.
    await eventually(async () => {
      expect(await press('Forge a request', 1)).toBe(
        'The service refused the request with 401 identity_refused: it has no signature of the gateway.',
      );
    });
    const [, ms] =
      /^Before the log-out, the token got 200\. (\d+) ms after it, the same token got 401 token_revoked\.$/.exec(
        (await press('Log out', 2)) ?? '',
      ) ?? [];
    // Within a second, and this machine may be busy.
    expect(Number(ms)).toBeLessThan(3_000);
    // The browser reports the refusals that the page shows.
    expect(troubles.filter((one) => !/status of (?:401|429)/.test(one))).toEqual([]);
    expect(await page.evaluate('[localStorage.length, sessionStorage.length, document.cookie]')).toEqual([0, 0, '']);
    expect(await page.context().cookies()).toEqual([]);
    await page.close();
  });

  test('the links of / lead to pages', async () => {
    const page = await browser.newPage();
    await page.goto(`${origin}/`);
    const links = (await page.evaluate('[...document.links].map(({ href }) => href)')) as string[];
    const answers = await Promise.all(links.map(async (url) => (await fetch(url)).status));
    expect([links.length, new Set(answers)]).toEqual([5, new Set([200])]);
    expect(links[1]).toBe(`http://127.0.0.1:${place.ports.admin}/`);
    await page.close();
  });

  test.each(['light', 'dark'] as const)('%s: axe finds nothing on /, at any size', async (colorScheme) => {
    for (const viewport of sizes) {
      const page = await browser.newPage({ viewport, colorScheme, bypassCSP: true });
      await page.goto(`${origin}/`);
      await page.getByRole('button', { name: 'Send a request' }).click();
      await page.getByRole('table').first().waitFor();
      expect([await accessibilityProblems(page), await overflow(page), await unreached(page)]).toEqual([[], 0, []]);
      await page.close();
    }
  });

  test('complainants load at most 150 kB, and staff only a little more', () => {
    const { complainant, staff } = bundleSizes();
    expect(complainant).toBeLessThan(150_000);
    expect(staff).toBeLessThan(20_000);
  });
});
