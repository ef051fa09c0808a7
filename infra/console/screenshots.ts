import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Page } from 'playwright-core';
import { makePlace, startEverything } from '../e2e/stack.ts';
import { openBrowser } from './browser.ts';
import { liveThrough } from './demo-traffic.ts';

// `npm run screenshots`: starts the stack, lets a few minutes of traffic pass, and writes the pictures of
// docs/operations/console.md.

const directory = resolve(import.meta.dirname, '../../docs/images');
const trafficMs = Number(process.env.TRAFFIC_SECONDS ?? 240) * 1000;

type Shot = Readonly<{
  name: string;
  path: string;
  width: number;
  height: number;
  dark?: boolean;
  before?(page: Page): Promise<void>;
}>;

const shots: readonly Shot[] = [
  { name: 'console-overview-light', path: '/', width: 1280, height: 860 },
  { name: 'console-overview-dark', path: '/', width: 1280, height: 860, dark: true },
  {
    name: 'console-request',
    path: '/console/requests?code=insufficient_role',
    width: 1280,
    height: 800,
    before: openFirst,
  },
  { name: 'console-explain', path: '/console/explain', width: 1280, height: 900, before: fillIn },
  { name: 'console-phone', path: '/', width: 390, height: 844, dark: true },
];

async function openFirst(page: Page): Promise<void> {
  await page.locator('tbody a').first().click();
  await page.getByRole('heading', { name: /^Request / }).waitFor();
}

async function fillIn(page: Page): Promise<void> {
  await page.getByLabel('Method').fill('POST');
  await page.getByLabel('Path and query').fill('/v1/complaints/1/assign');
  await page.getByLabel('Role').fill('complainant');
  await page.getByRole('button', { name: 'Explain' }).click();
  await page.getByRole('heading', { name: 'Stages' }).waitFor();
}

const browser = await openBrowser();
const place = await makePlace({ databaseUrl: undefined, redisUrl: undefined });
const everything = await startEverything(place);
try {
  const gateway = `http://127.0.0.1:${place.ports.gateway}`;
  await liveThrough(gateway, performance.now() + trafficMs);
  mkdirSync(directory, { recursive: true });
  for (const { name, path, width, height, dark = false, before } of shots) {
    const colorScheme = dark ? 'dark' : 'light';
    const page = await browser.newPage({ viewport: { width, height }, colorScheme });
    await page.goto(`http://127.0.0.1:${place.ports.admin}${path}`);
    await before?.(page);
    await delay(200);
    await page.screenshot({ path: `${directory}/${name}.png` });
    await page.close();
    process.stdout.write(`${name}.png\n`);
  }
} finally {
  await browser.close();
  await everything.stop();
  await place.remove();
}
