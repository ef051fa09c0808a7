import type { StartedProcess } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { openBrowser, sizes, watchPage } from '../console/browser.ts';
import { makePlace, type Place, startEverything } from '../e2e/stack.ts';
import { bundleSizes, openPage, writeDraft } from './pages.ts';

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

  test('complainants load at most 150 kB, and staff only a little more', () => {
    const { complainant, staff } = bundleSizes();
    expect(complainant).toBeLessThan(150_000);
    expect(staff).toBeLessThan(20_000);
  });
});
