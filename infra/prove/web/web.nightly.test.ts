import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, type StartedProcess } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { accessibilityProblems, openBrowser, overflow, sizes, unreached, watchPage } from '../../stacks/browser.ts';
import { call, logIn, password } from '../../stacks/client.ts';
import { type GatewayYaml, makePlace, type Place, startEverything, writeGatewayConfig } from '../../stacks/stack.ts';
import { filedAs, type Options, openPage, type Photo, takePhoto, writeDraft } from '../../stacks/web-pages.ts';

const complainant = 'complainant@acme.test';
const agent = 'agent@acme.test';
const desktop = { viewport: sizes[2] };
const policy =
  "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

function dropLimits(routes: GatewayYaml['routes']): void {
  for (const route of routes) {
    if ('limits' in route) route.limits = [];
    dropLimits(route.routes ?? []);
  }
}

describe('web/ in Chromium', () => {
  let place: Place;
  let everything: StartedProcess;
  let browser: Browser;
  let origin: string;
  let photo: Photo;
  beforeAll(async () => {
    place = await makePlace({ databaseUrl: undefined, redisUrl: undefined });
    // The tests open pages faster than a person does.
    const config = writeGatewayConfig(place, 'gateway.yaml', ({ routes }) => dropLimits(routes));
    everything = await startEverything(place, { GATEWAY_CONFIG: config });
    origin = `http://127.0.0.1:${place.ports.gateway}`;
    browser = await openBrowser();
    photo = await takePhoto(browser);
  });
  afterAll(async () => {
    await browser?.close();
    await everything?.stop();
    await place?.remove();
  });

  /** Opens a page for a person, and checks it for errors afterwards. */
  async function as(email: string, options: Options, use: (page: Page) => Promise<void>): Promise<void> {
    const page = await openPage(browser, origin, email, options);
    const troubles = watchPage(page, origin);
    await use(page);
    expect(troubles).toEqual([]);
    await page.context().close();
  }

  const settled = async (page: Page, path: string) => {
    await page.goto(origin + path);
    await page.getByRole('heading', { level: 1 }).waitFor();
    await page
      .getByText(/^(?:Loading|Wird geladen) …$/)
      .first()
      .waitFor({ state: 'detached' });
  };
  const focused = (page: Page, selector: string) => page.locator(`${selector}:focus`).waitFor();
  /** The pages of complainants and of staff. */
  async function pathsOf(email: string): Promise<string[]> {
    const { token } = await logIn(origin, email);
    const { body } = await call(`${origin}/v1/complaints?limit=1`, { token });
    const id = (body.items as { id: string }[])[0]?.id;
    return email === agent
      ? ['/app/queue', '/app/queue?status=closed&q=nothing-like-this', `/app/queue/${id}`]
      : ['/app/', '/app/new', '/app/new?step=text', '/app/new?step=place', `/app/complaints/${id}`, '/app/nowhere'];
  }

  describe.each(sizes)('at $width by $height', (viewport) => {
    test.each([
      [complainant, 'light', 'en-GB'],
      [complainant, 'dark', 'de-AT'],
      [agent, 'light', 'de-DE'],
      [agent, 'dark', 'en-US'],
    ] as const)(
      '%s, %s, %s: axe finds nothing, and nothing is wider than the screen',
      async (email, colorScheme, locale) => {
        // The policy is bypassed only for axe, which the test injects into the page.
        await as(email, { viewport, colorScheme, locale, bypassCSP: true }, async (page) => {
          if (email === complainant) await draft(page);
          for (const path of await pathsOf(email)) {
            await settled(page, path);
            expect([path, await accessibilityProblems(page), await overflow(page)]).toEqual([path, [], 0]);
          }
        });
      },
    );

    test.each([complainant, agent])('%s: the keyboard reaches every control, with a visible focus', async (email) => {
      await as(email, { viewport }, async (page) => {
        if (email === complainant) await draft(page);
        for (const path of await pathsOf(email)) {
          await settled(page, path);
          expect([path, await unreached(page)]).toEqual([path, []]);
        }
      });
    });
  });

  test.each(sizes)('at $width, no filter is cut off, and no link in the bar wraps in German', async (viewport) => {
    const cut = `[...document.querySelectorAll('.filters select')].filter((field) => {
      const { width } = field.getBoundingClientRect();
      field.style.width = 'max-content';
      return field.getBoundingClientRect().width > width + 1;
    }).map(({ id }) => id)`;
    await as(agent, { viewport }, async (page) => {
      await settled(page, '/app/queue');
      expect(await page.evaluate(cut)).toEqual([]);
    });
    await as(complainant, { viewport, locale: 'de-DE' }, async (page) => {
      await settled(page, '/app/');
      const link = page.getByRole('navigation').getByRole('link', { name: 'Meine Beschwerden' });
      expect((await link.boundingBox())?.height).toBe(44);
    });
  });

  /** Fills in a draft in any language, so that every step can be opened. */
  async function draft(page: Page): Promise<void> {
    await settled(page, '/app/new');
    await page.getByRole('radio').first().check();
    await page.getByRole('button', { name: /^(?:Next|Weiter)$/ }).click();
    await page.getByRole('textbox').nth(0).fill('A draft');
    await page.getByRole('textbox').nth(1).fill('With text.');
  }

  test.each(['light', 'dark'] as const)(
    '%s: axe finds nothing on /docs, with samples of the client',
    async (colorScheme) => {
      for (const viewport of sizes) {
        const page = await browser.newPage({ viewport, colorScheme, bypassCSP: true });
        const troubles = watchPage(page, origin);
        await page.goto(`${origin}/docs`);
        await page.getByText("import { createClient } from '@countersign/client';").first().waitFor();
        expect([await accessibilityProblems(page), await overflow(page), troubles]).toEqual([[], 0, []]);
        await page.close();
      }
    },
  );

  test('files have the policy in README.md, and a page does not load without its session', async () => {
    const page = await browser.newPage({ viewport: sizes[0] });
    const response = await page.goto(`${origin}/app/complaints/1`);
    expect(response?.headers()['content-security-policy']).toBe(policy);
    const link = page.getByRole('link', { name: 'Log in' });
    expect(await link.getAttribute('href')).toBe('/login');
    await page.close();
  });

  test.each(['light', 'dark'] as const)('%s: axe finds nothing in menus and dialogs', async (colorScheme) => {
    await as(agent, { colorScheme, bypassCSP: true }, async (page) => {
      const [, , path = ''] = await pathsOf(agent);
      await settled(page, path);
      for (const key of ['m', 'a', '?']) {
        await page.keyboard.press(key);
        await page.getByRole('dialog').waitFor();
        await page.getByText('Loading …').first().waitFor({ state: 'detached' });
        expect([key, await accessibilityProblems(page), await overflow(page)]).toEqual([key, [], 0]);
        await page.keyboard.press('Escape');
      }
      await page.getByLabel('Your account').click();
      await page.getByLabel('Language').selectOption('de');
      await page.getByRole('button', { name: 'Abmelden' }).waitFor();
      expect(await accessibilityProblems(page)).toEqual([]);
      await page.getByRole('button', { name: 'Abmelden' }).click();
      await page.getByRole('heading', { name: 'Sie sind nicht angemeldet' }).waitFor();
      expect(await accessibilityProblems(page)).toEqual([]);
    });
  });

  test('after the login, the user returns to the page that required it', async () => {
    const page = await browser.newPage({ viewport: sizes[0] });
    await page.goto(`${origin}/app/new`);
    await page.getByRole('link', { name: 'Log in' }).click();
    await page.getByLabel('Email address').fill(complainant);
    await page.getByLabel('Password').fill(password);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'New complaint' }).waitFor();
    await page.close();
  });

  test.each(['complainant@globex.test', 'agent@globex.test', 'admin@globex.test'])(
    '%s sees no complaints of another tenant, and only staff see staff pages',
    async (email) => {
      const [, , , , own = ''] = await pathsOf(complainant);
      const page = await openPage(browser, origin, email);
      await page.goto(origin + own);
      await page.getByText('This complaint does not exist, or you do not have access to it.').waitFor();
      await page.getByRole('link', { name: 'Go to the home page' }).click();
      await page.waitForURL(email.startsWith('complainant') ? `${origin}/app/` : `${origin}/app/queue`);
      await page.goto(`${origin}/app/queue`);
      await page.waitForURL(email.startsWith('complainant') ? `${origin}/app/` : `${origin}/app/queue`);
      await page.context().close();
    },
  );

  describe('with a broken network', () => {
    /** Files the draft that the page shows, once it can. */
    async function file(page: Page): Promise<void> {
      const filed = page.getByRole('heading', { name: 'Your complaint was filed' });
      const again = page.getByRole('button', { name: /^(?:File complaint|Send again)$/ });
      await eventually(async () => {
        // The button disappears as soon as the complaint is filed.
        if (await again.isEnabled({ timeout: 1_000 }).catch(() => false)) await again.click({ timeout: 1_000 });
        expect(await filed.isVisible()).toBe(true);
      }, 20_000);
    }

    test.each([0, 1, 2])(
      'a connection lost at step %i and restored gives one complaint with its text',
      async (step) => {
        const title = `Cut at step ${step}`;
        const page = await openPage(browser, origin, complainant);
        await page.goto(`${origin}/app/new`);
        const cutAt = (at: number) => page.context().setOffline(at >= step);
        await page.getByRole('radio', { name: 'Lighting' }).check();
        await cutAt(0);
        await page.getByRole('button', { name: 'Next' }).click();
        await page.getByLabel('Title').fill(title);
        await page.getByLabel('What happened?').fill('Dark since Monday.');
        await page.getByLabel('Add photos').setInputFiles(photo);
        await cutAt(1);
        await page.getByRole('button', { name: 'Next' }).click();
        await cutAt(2);
        await page.getByRole('button', { name: 'File complaint' }).click();
        await page.getByText('No connection.').waitFor();
        await page.getByText('We do not know whether your complaint has arrived.').waitFor();
        await page.getByText('Dark since Monday.').waitFor();
        // The draft is sent automatically when the browser is online again.
        await page.context().setOffline(false);
        await page.getByRole('heading', { name: 'Your complaint was filed' }).waitFor();
        expect(await filedAs(origin, complainant, title)).toMatchObject([{ description: 'Dark since Monday.' }]);
        await page.context().close();
      },
    );

    test.each(['/v1/complaints', '/attachments'])(
      'after a lost response from %s and a reload, there is one complaint with one photo',
      async (path) => {
        const title = `Lost answer of ${path}`;
        const page = await openPage(browser, origin, complainant);
        await writeDraft(page, origin, title, [photo]);
        // The requests arrive, but no response does.
        const isLost = (url: URL) => url.pathname.endsWith(path);
        await page.route(isLost, async (route) => {
          if (route.request().method() !== 'POST') return route.continue();
          await route.fetch();
          await route.abort();
        });
        await page.getByRole('button', { name: 'File complaint' }).click();
        await page.getByText('No connection.').waitFor();
        await page.unroute(isLost);
        await page.reload();
        await page.getByRole('button', { name: 'Send again' }).waitFor();
        expect(await page.getByLabel('Address').inputValue()).toBe('Mill Lane 3');
        expect(await page.getByLabel('Address').isDisabled()).toBe(true);
        await file(page);
        const filed = await filedAs(origin, complainant, title);
        expect(filed).toHaveLength(1);
        const { token } = await logIn(origin, complainant);
        const files = await call(`${origin}/v1/complaints/${filed[0]?.id}/attachments`, { token });
        expect(files.body.items).toMatchObject([{ media_type: 'image/jpeg', width: 1_600, height: 1_200 }]);
        await page.context().close();
      },
    );

    test('a draft and its photos survive a reload, but not a logout', async () => {
      await as(complainant, {}, async (page) => {
        await writeDraft(page, origin, 'Kept', [photo]);
        await page.reload();
        await page.getByText('Photos: 1').waitFor();
        expect(await page.getByLabel('Address').inputValue()).toBe('Mill Lane 3');
        await page.getByRole('group').locator('summary').click();
        await page.getByRole('button', { name: 'Log out' }).click();
        await page.getByRole('link', { name: 'Log in' }).waitFor();
        expect(await page.evaluate('sessionStorage.length')).toBe(0);
      });
    });
  });

  test('staff process a complaint by keyboard, and its complainant replies', async () => {
    const title = 'All by keyboard';
    const filing = await openPage(browser, origin, complainant);
    await writeDraft(filing, origin, title, [photo]);
    await filing.getByRole('button', { name: 'File complaint' }).click();
    await filing.getByRole('link', { name: 'Open the complaint' }).click();
    await filing.getByRole('button', { name: /^Photo .*, enlarge$/ }).waitFor();

    await as(agent, desktop, async (page) => {
      const type = async (...keys: string[]) => {
        for (const key of keys) await page.keyboard.press(key);
      };
      await settled(page, '/app/queue');
      await type('/');
      await page.keyboard.type('All by keyboard');
      await type('Enter');
      await page.getByText('1 complaint', { exact: true }).waitFor();
      expect(new URL(page.url()).searchParams.get('q')).toBe('All by keyboard');
      // Enter moves the focus to the first row, and Escape leaves a field without a change.
      await focused(page, 'a.entry');
      await type('/', 'Escape', 'j');
      await focused(page, 'a.entry');
      expect(await page.getByLabel('Search').inputValue()).toBe(title);
      await type('Enter');
      await page.getByRole('heading', { level: 1, name: title }).waitFor();
      await type('i');
      await page.getByText('Assigned', { exact: true }).waitFor();
      await type('n');
      await page.keyboard.type('The same lamp as last winter.');
      await type('Escape', 'r');
      expect(await page.getByLabel('Reply to the complainant').inputValue()).toBe('');
      await page.keyboard.type('We are on our way.');
      await page.getByRole('button', { name: 'Send reply to the complainant' }).waitFor();
      // The next key is a shortcut, even before the response arrives, so the note's text does not end up in an answer.
      await type('Control+Enter', 'n', 'Control+Enter');
      await page.getByRole('listitem').filter({ hasText: 'We are on our way.' }).getByText('Staff').waitFor();
      await page.getByRole('listitem').filter({ hasText: 'The same lamp' }).getByText('Internal').waitFor();
      await page.getByRole('status').getByText('Your internal note was saved.').waitFor();
      await focused(page, '#comments');
      await type('n');
      expect(await page.getByRole('textbox', { name: 'Internal note' }).inputValue()).toBe('');
      expect(await page.locator('textarea:user-invalid').count()).toBe(0);
      await type('Escape', 'm');
      await page.getByRole('combobox', { name: 'New status' }).waitFor();
      await type('Enter');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      await page.getByRole('button', { name: 'Resolve' }).waitFor();
      await type('e', 'Tab');
      await page.getByRole('dialog').getByLabel('Category').selectOption('Roads');
      await page.getByRole('dialog').getByLabel('Priority').selectOption('urgent');
      await type('Control+Enter');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      await page.getByText('Urgent', { exact: true }).first().waitFor();
      await page.getByText(/· Roads ·/).waitFor();
      // An unfinished answer is kept over Escape and Back, and over a reload.
      await type('r');
      await page.keyboard.type('Half an');
      await type('Escape', 'm', 'Tab');
      await page.keyboard.type('A new bulb.');
      await type('Escape', 'u');
      await page.waitForURL('**/app/queue?*');
      await page.reload();
      await page.getByRole('link', { name: new RegExp(title) }).press('Enter');
      await page.getByLabel('Reply to the complainant').and(page.getByText('Half an')).waitFor();
      await type('m');
      await page.getByRole('dialog').getByLabel('Answer').and(page.getByText('A new bulb.')).waitFor();
      await type('Control+Enter');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      await page.getByText('Resolved', { exact: true }).waitFor();
      expect(await page.getByText('due ').count()).toBe(0);
      await type('h');
      await page.getByText('moved it from “Assigned” to “In progress”').waitFor();
      await type('u');
      await page.waitForURL('**/app/queue?*');
      await type('?');
      await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor();
      await page.getByLabel('Use single-key shortcuts').press('Space');
      await type('Escape', '?');
      expect(await page.getByRole('dialog').count()).toBe(0);
    });

    await filing.getByText('We are on our way.').waitFor();
    const standing = filing.getByRole('region', { name: 'Progress' });
    await standing.getByText('Alex Agent moved it from “In progress” to “Resolved”').waitFor();
    await standing.getByText('A new bulb.').waitFor();
    expect(await filing.getByText('The same lamp').count()).toBe(0);
    await filing.getByRole('button', { name: 'Reopen' }).click();
    await filing.getByLabel('Reason').fill('It is dark again.');
    await filing.getByRole('dialog').getByRole('button', { name: 'Reopen' }).click();
    await filing.getByText('Your complaint is open again.').waitFor();
    await filing.getByRole('button', { name: 'Withdraw' }).click();
    await filing.getByLabel('Reason').fill('Repaired it myself.');
    await filing.getByRole('dialog').getByRole('button', { name: 'Withdraw' }).click();
    await standing.getByText('This complaint was withdrawn.').waitFor();
    await standing.getByText('You moved it from “Reopened” to “Withdrawn”').waitFor();
    await standing.getByText('Repaired it myself.').waitFor();
    await filing.context().close();
  });

  /** Files a complaint without a page. */
  const filed = async (title: string, more: object = {}): Promise<Record<string, unknown>> => {
    const { token } = await logIn(origin, complainant);
    const body = { title, description: 'Live.', category: 'Lighting', ...more };
    return (await call(`${origin}/v1/complaints`, { token, body })).body;
  };

  test('staff find the original of a duplicate by its number and address, and the complainant does not see it', async () => {
    const original = await filed('The first report', { location: { address: 'Birkenweg 5' } });
    const { id } = await filed('The second report');
    await as(agent, desktop, async (page) => {
      await settled(page, `/app/queue/${id}`);
      await page.getByRole('button', { name: 'Mark as duplicate' }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('Reason').fill('Reported before.');
      const confirmed = dialog.getByRole('button', { name: 'Mark as duplicate' });
      for (const q of ['nothing-like-this', 'second report']) {
        await dialog.getByRole('searchbox').fill(q);
        await dialog.getByText('No complaint matches these filters.').waitFor();
      }
      for (const q of [String(original.number), 'birkenweg']) {
        await dialog.getByRole('searchbox').fill(q);
        expect(await confirmed.isDisabled()).toBe(true);
        await dialog.getByRole('radio', { name: `${original.number} · The first report · Birkenweg 5` }).check();
      }
      await confirmed.click();
      await page.getByText('Duplicate', { exact: true }).waitFor();
    });
    await as(complainant, {}, async (page) => {
      await settled(page, `/app/complaints/${id}`);
      await page.getByText('Reported before.').first().waitFor();
      expect(await page.content()).not.toContain(String(original.number));
    });
  });

  test('a user who unsubscribed in an email program can get the emails again', async () => {
    const { number } = await filed('With a receipt');
    const link = await eventually(async () => {
      const mails = readdirSync(join(place.home, 'mail')).map((name) =>
        readFileSync(join(place.home, 'mail', name), 'utf8'),
      );
      const receipt = mails.find((mail) => mail.includes(String(number)) && mail.includes(complainant));
      return new URL(/^List-Unsubscribe:\s+<(\S+)>$/m.exec(receipt ?? '')?.[1] ?? '');
    }, 20_000);
    const response = await fetch(`${origin}${link.pathname}${link.search}`, {
      method: 'POST',
      body: new URLSearchParams({ 'List-Unsubscribe': 'One-Click' }),
    });
    expect(response.status).toBe(204);
    await as(complainant, { bypassCSP: true }, async (page) => {
      await settled(page, '/app/');
      await page.getByLabel('Your account').click();
      const again = page.getByRole('group', { name: 'Get these emails again' });
      await again.getByRole('button', { name: 'Receipts for new complaints' }).waitFor();
      expect([await accessibilityProblems(page), await overflow(page)]).toEqual([[], 0]);
      await again.getByRole('button').click();
      await again.waitFor({ state: 'detached' });
    });
  });

  test('an upload shows its progress and can be canceled, and a file can be removed', async () => {
    const { id } = await filed('With a file');
    const page = await openPage(browser, origin, complainant);
    const network = await page.context().newCDPSession(page);
    const limit = { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 100_000 };
    const file = { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.alloc(1_000_000, 'Dark. ') };
    await settled(page, `/app/complaints/${id}`);
    await page.getByText('JPEG, PNG, WebP, PDF or plain text, up to 15 MB').waitFor();
    await network.send('Network.emulateNetworkConditions', limit);
    await page.getByLabel('Add a file').setInputFiles(file);
    await eventually(async () => {
      const share = Number(await page.getByRole('progressbar').getAttribute('value'));
      expect(share > 0 && share < 1).toBe(true);
    });
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('progressbar').waitFor({ state: 'detached' });
    await network.send('Network.emulateNetworkConditions', { ...limit, uploadThroughput: -1 });
    expect(await page.getByRole('alert').count()).toBe(0);
    await page.getByLabel('Add a file').setInputFiles({ ...file, buffer: Buffer.from('Dark.') });
    await page.getByRole('button', { name: 'Download notes.txt' }).waitFor();
    const { token } = await logIn(origin, complainant);
    const files = () => call(`${origin}/v1/complaints/${id}/attachments`, { token });
    expect((await files()).body.items).toMatchObject([{ name: 'notes.txt', bytes: 5 }]);
    page.on('dialog', (dialog) => void dialog.accept());
    await page.getByRole('button', { name: 'Remove notes.txt' }).click();
    await page.getByText('No files yet.').waitFor();
    expect((await files()).body.items).toEqual([]);
    await page.context().close();
  });

  test('the queue shows a new complaint without a reload', async () => {
    await as(agent, desktop, async (page) => {
      await settled(page, '/app/queue?sort=newest');
      // The page receives no events until its stream is open.
      await eventually(async () => {
        await filed('Seen at once');
        expect(await page.getByRole('link', { name: /Seen at once/ }).count()).toBeGreaterThan(0);
      }, 20_000);
    });
  });

  test('a colleague’s earlier change is not overwritten', async () => {
    const [, , path = ''] = await pathsOf(agent);
    const page = await openPage(browser, origin, agent, desktop);
    await settled(page, path);
    // Without events, the page does not know what happens meanwhile.
    await page.route('**/v1/complaints/events', (route) => route.abort());
    await page.reload();
    await page.getByRole('button', { name: 'Withdraw' }).click();
    const { token } = await logIn(origin, agent);
    const id = path.split('/').at(-1);
    const patch = { token, method: 'PATCH', body: { priority: 'urgent', title: 'Changed meanwhile' } };
    expect((await call(`${origin}/v1/complaints/${id}`, patch)).status).toBe(200);
    await page.getByLabel('Reason').fill('No longer needed.');
    await page.getByRole('dialog').getByRole('button', { name: 'Withdraw' }).click();
    await page.getByRole('alert').getByText('Someone else has just changed this complaint.').waitFor();
    await page.getByText('Changed meanwhile').first().waitFor();
    await page.context().close();
  });

  test('an action reloads the complaint once, and the console link shows the action', async () => {
    const [, , path = ''] = await pathsOf(agent);
    const page = await openPage(browser, origin, agent, desktop);
    const streaming = page.waitForResponse('**/v1/complaints/events');
    await settled(page, path);
    await streaming;
    const aborted: string[] = [];
    const read: string[] = [];
    page.on('requestfailed', (request) => aborted.push(request.url()));
    page.on('request', (request) => {
      if (request.method() === 'GET') read.push(new URL(request.url()).pathname);
    });
    await page.keyboard.press('n');
    await page.keyboard.type('Read once.');
    await page.keyboard.press('Control+Enter');
    await page.getByText('Your internal note was saved.').waitFor();
    const complaint = path.replace('/app/queue', '/v1/complaints');
    expect(read.sort()).toEqual([
      complaint,
      `${complaint}/attachments`,
      `${complaint}/comments`,
      `${complaint}/history`,
    ]);
    expect(aborted).toEqual([]);
    const shown = await page.getByRole('link', { name: 'See what the gateway did' }).getAttribute('href');
    expect(await (await fetch(shown ?? '')).text()).toContain('<code>POST</code>');
    await page.context().close();
  });

  test('each page links to what the gateway did with the page’s last request', async () => {
    await as(agent, desktop, async (page) => {
      for (const path of await pathsOf(agent)) {
        await settled(page, path);
        const link = page.getByRole('link', { name: 'See what the gateway did' });
        const address = (await link.getAttribute('href')) ?? '';
        expect(address).toMatch(`http://127.0.0.1:${place.ports.admin}/console/requests/`);
        expect((await fetch(address)).status).toBe(200);
      }
    });
  });
});
