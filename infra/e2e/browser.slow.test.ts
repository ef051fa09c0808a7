import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { StartedProcess } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Browser, chromium } from 'playwright-core';
import { makePlace, type Place, repository, startEverything } from './stack.ts';

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

  test('the API page shows every operation, asks no other host, and violates no policy', async () => {
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
});

test('the script of the API page is the one of the registry', () => {
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
