import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import { openBrowser } from '../../stacks/browser.ts';
import { type CallOptions, call, logIn } from '../../stacks/client.ts';
import { makePlace, startEverything } from '../../stacks/stack.ts';
import { openPage, writeDraft } from '../../stacks/web-pages.ts';

// `npm run screenshots`: starts the stack, lets a few minutes of traffic pass, and takes the screenshots for the
// documentation. `npm run screenshots -- web` takes those whose names begin with `web`.

const repository = resolve(import.meta.dirname, '../../..');
const directory = resolve(repository, 'docs/images');
const [wanted = ''] = process.argv.slice(2);
const trafficMs = Number(process.env.TRAFFIC_SECONDS ?? 240) * 1000;

type Origins = Readonly<{ admin: string; gateway: string }>;
type Shot = Readonly<{
  name: string;
  width: number;
  height: number;
  dark?: boolean;
  /** The account that is logged in. */
  as?: string;
  open(page: Page, origins: Origins): Promise<unknown>;
}>;

const overview = (page: Page, { admin }: Origins) => page.goto(admin);
const file = (page: Page, { gateway }: Origins) => writeDraft(page, gateway, 'No light at the bridge');

const shots: readonly Shot[] = [
  { name: 'console-overview-light', width: 1280, height: 860, open: overview },
  { name: 'console-overview-dark', width: 1280, height: 860, dark: true, open: overview },
  { name: 'console-request', width: 1280, height: 800, open: openRefused },
  { name: 'console-explain', width: 1280, height: 900, open: explain },
  { name: 'console-phone', width: 390, height: 844, dark: true, open: overview },
  { name: 'web-filing', width: 390, height: 844, as: 'complainant@acme.test', open: file },
  { name: 'web-queue', width: 1280, height: 860, as: 'agent@acme.test', open: showQueue },
  { name: 'web-complaint', width: 1280, height: 860, as: 'agent@acme.test', open: showComplaint },
];

async function openRefused(page: Page, { admin }: Origins): Promise<void> {
  await page.goto(`${admin}/console/requests?code=insufficient_role`);
  await page.locator('tbody a').first().click();
  await page.getByRole('heading', { name: /^Request / }).waitFor();
}

async function explain(page: Page, { admin }: Origins): Promise<void> {
  await page.goto(`${admin}/console/explain`);
  await page.getByLabel('Method').fill('POST');
  await page.getByLabel('Path and query').fill('/v1/complaints/1/assign');
  await page.getByLabel('Role').fill('complainant');
  await page.getByRole('button', { name: 'Explain' }).click();
  await page.getByRole('heading', { name: 'Stages' }).waitFor();
}

async function showQueue(page: Page, { gateway }: Origins): Promise<void> {
  await page.goto(`${gateway}/app/queue`);
  await page.getByText(/\d.* complaints/).waitFor();
}

async function showComplaint(page: Page, { gateway }: Origins): Promise<void> {
  await page.goto(`${gateway}/app/queue?status=in_progress`);
  await page
    .getByRole('link', { name: /In progress/ })
    .first()
    .click();
  await page.getByRole('link', { name: 'See what the gateway did' }).waitFor();
  await page.getByText('Loading …').first().waitFor({ state: 'detached' });
}

// Realistic requests, each once in `every` turns. Most succeed, a few are refused.
const asks: readonly (CallOptions & Readonly<{ path: string; as?: string; every: number }>)[] = [
  { path: '/v1/complaints', as: 'agent@acme.test', every: 1 },
  { path: '/v1/users/me', as: 'agent@acme.test', every: 1 },
  { path: '/v1/complaints?status=open', as: 'complainant@globex.test', every: 2 },
  { path: '/v1/users/me', as: 'admin@globex.test', every: 3 },
  { path: '/v1/auth/audit', as: 'complainant@globex.test', every: 9 },
  { path: '/v1/users/me', every: 13 },
  { path: '/v1/orders', as: 'agent@acme.test', every: 17 },
  { path: '/v1/users/me', method: 'DELETE', as: 'agent@acme.test', every: 29 },
  {
    path: '/v1/complaints',
    as: 'complainant@globex.test',
    body: { title: 'No heat', description: 'The radiators have been cold since Monday.', category: 'housing' },
    every: 11,
  },
];

async function sendTraffic(gateway: string): Promise<void> {
  const accounts = [...new Set(asks.flatMap(({ as }) => as ?? []))];
  const tokens = new Map<string, string>();
  for (const email of accounts) tokens.set(email, (await logIn(gateway, email)).token);
  const untilMs = performance.now() + trafficMs;
  for (let turn = 1; performance.now() < untilMs; turn += 1) {
    const due = asks.filter(({ every }) => turn % every === 0);
    await Promise.all(due.map(({ path, as = '', ...ask }) => call(gateway + path, { ...ask, token: tokens.get(as) })));
    // The rate varies by the minute.
    await delay(60 + 50 * Math.sin(turn / 120) ** 2 + 60 * Math.random());
  }
}

async function shoot(browser: Browser, { name, width, height, dark, as, open }: Shot, origins: Origins): Promise<void> {
  const options = { viewport: { width, height }, colorScheme: dark ? 'dark' : 'light' } as const;
  const page =
    as === undefined ? await browser.newPage(options) : await openPage(browser, origins.gateway, as, options);
  await open(page, origins);
  // The path of this clone is of no use to a reader.
  await page.locator('body').evaluate((body: { innerHTML: string }, clone) => {
    body.innerHTML = body.innerHTML.replaceAll(`${clone}/`, '');
  }, repository);
  await delay(300);
  await page.screenshot({ path: `${directory}/${name}.png` });
  await page.context().close();
  process.stdout.write(`${name}.png\n`);
}

const browser = await openBrowser();
const place = await makePlace({ databaseUrl: undefined, redisUrl: undefined });
const everything = await startEverything(place);
try {
  const origins = {
    admin: `http://127.0.0.1:${place.ports.admin}`,
    gateway: `http://127.0.0.1:${place.ports.gateway}`,
  };
  await sendTraffic(origins.gateway);
  mkdirSync(directory, { recursive: true });
  for (const shot of shots.filter(({ name }) => name.startsWith(wanted))) await shoot(browser, shot, origins);
} finally {
  await browser.close();
  await everything.stop();
  await place.remove();
}
