import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Browser, Page } from 'playwright-core';
import { web } from '../run/web-package.ts';
import { sizes } from './browser.ts';
import { call, logIn, password } from './client.ts';

const [phone] = sizes;

export type Options = NonNullable<Parameters<Browser['newContext']>[0]>;

/** Opens a browser page with a logged-in user, as after the login page: with the refresh token cookie. */
export async function openPage(browser: Browser, origin: string, email: string, options: Options = {}): Promise<Page> {
  const context = await browser.newContext({ locale: 'en-GB', viewport: phone, ...options });
  const page = await context.newPage();
  // A file on the same origin that runs none of our scripts.
  await page.goto(`${origin}/app/icon.svg`);
  const body = JSON.stringify({ email, password, transport: 'cookie' });
  const headers = { 'content-type': 'application/json', 'x-requested-with': 'fetch' };
  const status = await page.evaluate(
    `fetch('/v1/auth/login', ${JSON.stringify({ method: 'POST', headers, body })}).then(({ status }) => status)`,
  );
  if (status !== 200) throw new Error(`the login answered ${status}`);
  return page;
}

/** Finds the complaints with this title, as their complainant sees them. */
export async function filedAs(origin: string, email: string, title: string): Promise<{ id: string }[]> {
  const { token } = await logIn(origin, email);
  const { body } = await call(`${origin}/v1/complaints?limit=100`, { token });
  return (body.items as { id: string; title: string }[]).filter((complaint) => complaint.title === title);
}

export type Photo = Readonly<{ name: string; mimeType: string; buffer: Buffer }>;

/** A photo that is larger than the version that is sent. */
export async function takePhoto(browser: Browser): Promise<Photo> {
  const page = await browser.newPage({ viewport: { width: 2_400, height: 1_800 } });
  const buffer = await page.screenshot();
  await page.close();
  return { name: 'lamp.png', mimeType: 'image/png', buffer };
}

/** Goes to the last step of filing, with every field filled in except the location. */
export async function writeDraft(page: Page, origin: string, title: string, photos: readonly Photo[] = []) {
  await page.goto(`${origin}/app/new`);
  await page.getByRole('radio', { name: 'Lighting' }).check();
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByLabel('Title').fill(title);
  await page.getByLabel('What happened?').fill('Dark since Monday.');
  if (photos.length > 0) {
    await page.getByLabel('Add photos').setInputFiles([...photos]);
    await page
      .getByRole('listitem')
      .getByRole('img')
      .nth(photos.length - 1)
      .waitFor();
  }
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByLabel('Address').fill('Mill Lane 3');
}

type Chunk = Readonly<{ file: string; src?: string; imports?: readonly string[]; css?: readonly string[] }>;

/** The compressed bytes that a page loads before any lazy route, and the bytes of the lazy routes. */
export function bundleSizes(): Readonly<{ complainant: number; staff: number }> {
  const dist = join(web, 'dist');
  const manifest = JSON.parse(readFileSync(join(dist, '.vite/manifest.json'), 'utf8')) as Record<string, Chunk>;
  const filesOf = (name: string, found = new Set<string>()): Set<string> => {
    const { file, css = [], imports = [] } = manifest[name] as Chunk;
    for (const each of [file, ...css]) found.add(each);
    for (const each of imports) filesOf(each, found);
    return found;
  };
  const sizeOf = (file: string) => gzipSync(readFileSync(join(dist, file)), { level: 9 }).byteLength;
  const sum = (files: Iterable<string>) => [...files].reduce((bytes, file) => bytes + sizeOf(file), 0);
  const first = filesOf('index.html');
  const lazy = Object.keys(manifest).filter((name) => name.startsWith('src/staff/'));
  const later = new Set(lazy.flatMap((name) => [...filesOf(name)].filter((file) => !first.has(file))));
  return { complainant: sum(first), staff: sum(later) };
}
