import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { eventually, type StartedProcess } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { totpCode, totpStep } from '../../../auth-service/src/domain/second-factor/totp.ts';
import { base32Bytes } from '../../../auth-service/test/support/totp.ts';
import { accessibilityProblems, openBrowser, overflow, sizes, unreached, watchPage } from '../../stacks/browser.ts';
import { call, logIn, password } from '../../stacks/client.ts';
import { makePlace, type Place, startEverything } from '../../stacks/stack.ts';

const acme = '01936f00-0000-7000-8000-000000000001';
const chosen = 'a walrus on the gramophone';

/** Chromium reports the status of a refused form as a console error. */
const isStatus = (text: string) => /^Failed to load resource: .* status of [45]\d\d/.test(text);

const pictureOf = (scheme: string, width: number, what: string): string =>
  join(process.env.SCREENSHOTS ?? '', `${scheme}-${width}-${what.replaceAll(/\W+/g, '-').slice(0, 60)}.png`);

describe('the account pages in Chromium', () => {
  let place: Place;
  let everything: StartedProcess;
  let browser: Browser;
  let gateway: string;
  /** A member of two tenants, and a user with a second factor. */
  const [two, factor] = ['two@pages.test', 'factor@pages.test'];
  let recoveryCodes: string[];
  beforeAll(async () => {
    place = await makePlace({ databaseUrl: undefined, redisUrl: undefined });
    everything = await startEverything(place);
    gateway = `http://127.0.0.1:${place.ports.gateway}`;
    browser = await openBrowser();
    for (const email of [two, factor]) {
      await call(`${gateway}/v1/auth/register`, { body: { email } });
      const token = new URL(await linkTo(email)).searchParams.get('token');
      await call(`${gateway}/v1/auth/email/verify`, { body: { token, password } });
    }
    const globex = await logIn(gateway, 'admin@globex.test');
    const { tenant } = (await call(`${gateway}/v1/auth/login`, { body: { email: 'admin@globex.test', password } }))
      .body;
    const body = { email: two, role: 'agent' };
    const tenantId = (tenant as { id: string }).id;
    await call(`${gateway}/v1/auth/tenants/${tenantId}/invitations`, { token: globex.token, body });
    const invitation = new URL(await linkTo(two, 'accept-invitation')).searchParams.get('token');
    await call(`${gateway}/v1/auth/invitations/accept`, { body: { token: invitation, password } });
    const { token } = await logIn(gateway, factor);
    const { secret } = (await call(`${gateway}/v1/auth/mfa/totp`, { token, method: 'POST' })).body;
    const code = totpCode(base32Bytes(String(secret)), totpStep(new Date()));
    const confirmed = await call(`${gateway}/v1/auth/mfa/totp/confirm`, { token, body: { code } });
    recoveryCodes = confirmed.body.recovery_codes as string[];
  });
  afterAll(async () => {
    await browser?.close();
    await everything?.stop();
    await place?.remove();
  });

  /** The newest link that `npm start` printed for this address. */
  const linkTo = (email: string, page = '') =>
    eventually(() => {
      const found = [...everything.output().matchAll(new RegExp(`An email to ${email}: (\\S+/${page}\\S+)`, 'g'))];
      const [, link] = found.at(-1) ?? [];
      if (link === undefined) throw new Error(`no link to ${email}`);
      return link;
    });
  const resetLink = async (email: string) => {
    await call(`${gateway}/v1/auth/password/forgot`, { body: { email } });
    return linkTo(email, 'reset-password');
  };
  const invitationLink = async (email: string) => {
    const { token } = await logIn(gateway, 'admin@acme.test');
    await call(`${gateway}/v1/auth/tenants/${acme}/invitations`, { token, body: { email, role: 'agent' } });
    return linkTo(email, 'accept-invitation');
  };

  /** Opens a page, and checks it for errors afterwards. */
  async function onPage(options: BrowserContextOptions, use: (page: Page) => Promise<void>): Promise<void> {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    const complaints = watchPage(page, gateway);
    await use(page);
    expect(complaints.filter((text) => !isStatus(text))).toEqual([]);
    await context.close();
  }
  async function enter(page: Page, email: string, secret: string): Promise<void> {
    await page.goto(`${gateway}/login`);
    await page.locator('#email').fill(email);
    await page.locator('#password').fill(secret);
    await page.locator('main button').click();
  }

  describe.each(sizes)('at $width by $height', (viewport) => {
    test.each([
      ['light', 'en-US'],
      ['dark', 'de-DE'],
    ] as const)(
      '%s, %s: axe finds nothing, nothing is wider than the screen, and the keyboard reaches everything',
      async (scheme, locale) => {
        const invited = `${scheme}-${viewport.width}@pages.test`;
        const links = [await resetLink('agent@globex.test'), await invitationLink(invited)];
        // The policy is bypassed only for axe, which the test injects into the page.
        await onPage({ viewport, colorScheme: scheme, locale, bypassCSP: true }, async (page) => {
          const check = async (what: string) => {
            if (process.env.SCREENSHOTS) await page.screenshot({ path: pictureOf(scheme, viewport.width, what) });
            expect([what, await accessibilityProblems(page), await overflow(page), await unreached(page)]).toEqual([
              what,
              [],
              0,
              [],
            ]);
          };
          const paths = [
            '/login',
            '/login?notice=logged_out',
            '/login/nothing',
            '/register',
            '/forgot-password',
            '/logout',
          ];
          for (const path of [...paths, '/verify-email', '/reset-password', '/accept-invitation']) {
            await page.goto(gateway + path);
            await check(path);
          }
          for (const link of links) {
            await page.goto(link);
            await check(link);
            await page.locator('#password').fill('short');
            await page.locator('main button').click();
            await check('a refused password');
          }
          await enter(page, 'agent@acme.test', 'not the password');
          await check('a refused login');
          await enter(page, two, password);
          await page.locator('main button').first().waitFor();
          await check('the choice of a tenant');
          await enter(page, factor, password);
          await page.locator('#code').waitFor();
          await check('the second factor');
        });
      },
    );
  });

  const ofAccount = [
    '',
    '/password',
    '/second-factor',
    '/devices',
    '/applications',
    '/organizations',
    '/log-in',
  ].concat(['/members', '/invitations', '/audit']);
  const mails = () => `http://127.0.0.1:${place.ports.web}/mails`;

  describe.each(sizes)('an administrator at $width by $height', (viewport) => {
    test.each([
      ['light', 'en-US'],
      ['dark', 'de-DE'],
    ] as const)('%s, %s: axe finds nothing on the pages of the account', async (scheme, locale) => {
      await onPage({ viewport, colorScheme: scheme, locale, bypassCSP: true }, async (page) => {
        const check = async (what: string) => {
          if (process.env.SCREENSHOTS) await page.screenshot({ path: pictureOf(scheme, viewport.width, what) });
          expect([what, await accessibilityProblems(page), await overflow(page)]).toEqual([what, [], 0]);
        };
        await page.goto(`${gateway}/nothing`);
        await check('the gateway’s page');
        await enter(page, 'admin@acme.test', password);
        await page.waitForURL(`${gateway}/app/**`);
        for (const path of ofAccount) {
          await page.goto(`${gateway}/account${path}`);
          await check(`/account${path}`);
        }
        await page.goto(`${gateway}/account/second-factor`);
        await page.locator('main button').click();
        await page.locator('.code svg').waitFor();
        await check('the QR code');
        await page.locator('#code').fill('000000');
        await page.locator('main button').click();
        await page.getByRole('alert').waitFor();
        await check('a refused code');
      });
      const context = await browser.newContext({ viewport, colorScheme: scheme, bypassCSP: true });
      const page = await context.newPage();
      await page.goto(mails());
      expect([await accessibilityProblems(page), await overflow(page)]).toEqual([[], 0]);
      await context.close();
    });
  });

  test('people manage an organization with nothing but a browser, and without JavaScript', async () => {
    const open = async () => {
      const context = await browser.newContext({ javaScriptEnabled: false });
      return { context, page: await context.newPage() };
    };
    const press = (page: Page, name: string) => page.getByRole('button', { name }).click();
    /** Follows the link of the newest email to this address, on the page with all emails. */
    const followMail = async (page: Page, email: string) => {
      await eventually(async () => {
        await page.goto(mails());
        expect(await page.locator('article', { hasText: email }).count()).toBeGreaterThan(0);
      });
      const frame = page.locator('article', { hasText: email }).first().locator('iframe');
      await frame.scrollIntoViewIfNeeded();
      const link = frame.contentFrame().getByRole('link');
      const [opened] = await Promise.all([page.context().waitForEvent('page'), link.click()]);
      await opened.waitForLoadState();
      return opened;
    };
    const [reg, boss] = [await open(), await open()];
    const email = 'reg@journey.test';

    await reg.page.goto(`${gateway}/register`);
    await reg.page.getByLabel('Email address').fill(email);
    await press(reg.page, 'Send the link');
    const confirm = await followMail(reg.page, email);
    await confirm.getByLabel('Your name').fill('Reg Istered');
    await confirm.getByLabel('New password').fill(chosen);
    await press(confirm, 'Create the account');
    await confirm.waitForURL(`${gateway}/app/`);

    await enter(boss.page, 'admin@acme.test', password);
    await eventually(async () => {
      await boss.page.goto(`${gateway}/account/members`);
      await boss.page.getByText('Reg Istered').waitFor({ timeout: 1_000 });
    });
    await boss.page.goto(`${gateway}/account/invitations`);
    await boss.page.getByLabel('Email address').fill('guest@journey.test');
    await press(boss.page, 'Invite');
    await boss.page.getByRole('status').waitFor();
    await boss.page
      .locator('li', { hasText: 'guest@journey.test' })
      .getByRole('button', { name: 'Send again' })
      .click();

    const guest = await open();
    const offer = await followMail(guest.page, 'guest@journey.test');
    await offer.getByLabel('Your name').fill('Gus Guest');
    await offer.getByLabel('New password').fill(chosen);
    await press(offer, 'Accept the invitation');
    await offer.waitForURL(`${gateway}/app/`);

    const account = confirm;
    await account.goto(`${gateway}/account/second-factor`);
    await press(account, 'Set up an authenticator app');
    const secret = (await account.locator('main code').textContent()) ?? '';
    await account.locator('#code').fill(totpCode(base32Bytes(secret), totpStep(new Date())));
    await press(account, 'Turn it on');
    const kept = await account.locator('.codes li').first().textContent();
    const second = await open();
    await enter(second.page, email, chosen);
    await second.page.locator('#code').fill(kept ?? '');
    await press(second.page, 'Continue');
    await second.page.goto(`${gateway}/account/devices`);
    await press(second.page, 'Log out there');
    await account.goto(`${gateway}/account`);
    await account.waitForURL('**/login?to=account');

    const both = await open();
    await enter(both.page, two, password);
    await press(both.page, 'Globex');
    await both.page.goto(`${gateway}/account/organizations`);
    await press(both.page, 'Switch to Acme');
    await both.page.getByText('at acme.').waitFor();

    await boss.page.goto(`${gateway}/account/members`);
    const row = boss.page.locator('li', { hasText: 'Gus Guest' });
    await row.getByRole('button', { name: 'Remove' }).click();
    await boss.page.getByRole('status').waitFor();
    await offer.goto(`${gateway}/account`);
    await offer.waitForURL('**/login?to=account');
    await boss.page.goto(`${gateway}/account/audit`);
    await boss.page.locator('li', { hasText: 'Role or access changed' }).first().waitFor();
    for (const { context } of [reg, boss, guest, second, both]) await context.close();
  });

  test.each([
    ['SIGSTOP', 'users-service', '/account', /Names are unavailable right now/],
    ['SIGSTOP', 'auth-service', '/account', /Not available right now/],
    ['SIGSTOP', 'auth-service', '/login', /Not available right now/],
    ['SIGSTOP', 'web', '/app/', /Not available right now/],
    // The web client waits three times for a process that is only stopped. `npm start` replaces this one.
    ['SIGKILL', 'complaint-service', '/app/', /The service is not available right now/],
  ])('after a %s of the %s, %s is a page without JSON and without a code', async (signal, service, path, text) => {
    await onPage({ viewport: sizes[0] }, async (page) => {
      await enter(page, 'agent@acme.test', password);
      await page.waitForURL(`${gateway}/app/**`);
      const [pid = ''] = execFileSync('pgrep', ['-P', String(everything.pid), '-f', service], {
        encoding: 'utf8',
      }).split('\n');
      process.kill(Number(pid), signal);
      try {
        await eventually(async () => {
          await page.goto(gateway + path, { timeout: 60_000 });
          await page.getByText(text).first().waitFor({ timeout: 20_000 });
        });
        expect(await page.locator('body').textContent()).not.toMatch(/[a-z]+_[a-z]+|\{"/);
      } finally {
        if (signal === 'SIGSTOP') process.kill(Number(pid), 'SIGCONT');
      }
      // Leaves no open circuit behind.
      await eventually(async () => {
        await page.goto(gateway + path);
        expect(await page.getByText(text).count()).toBe(0);
      });
    });
  });

  test('an error message gets the focus, and its link leads to the field', async () => {
    await onPage({ viewport: sizes[0] }, async (page) => {
      await enter(page, 'agent@acme.test', 'not the password');
      await page.getByRole('alert').waitFor();
      expect(await page.evaluate('document.activeElement.role')).toBe('alert');
      await page.keyboard.press('Tab');
      await page.keyboard.press('Enter');
      expect(await page.evaluate('document.activeElement.id')).toBe('password');
      expect(await page.locator('#email').inputValue()).toBe('agent@acme.test');
    });
  });

  test('registration, login, tenant choice, second factor and logout work without JavaScript', async () => {
    await onPage({ viewport: sizes[0], javaScriptEnabled: false }, async (page) => {
      const email = 'noscript@pages.test';
      await page.goto(`${gateway}/register`);
      await page.getByLabel('Email address').fill(email);
      await page.getByRole('button', { name: 'Send the link' }).click();
      await page.getByRole('status').waitFor();
      await page.goto(await linkTo(email));
      await page.getByLabel('Your name').fill('Nora Script');
      await page.getByLabel('New password').fill(chosen);
      await page.getByRole('button', { name: 'Create the account' }).click();
      await page.waitForURL(`${gateway}/app/`);
      const kept = (await page.context().cookies()).find(({ name }) => name === '__Host-rt');
      expect(kept).toMatchObject({ httpOnly: true, secure: true, sameSite: 'Strict', path: '/' });
      await page.goto(`${gateway}/logout`);
      await page.getByRole('button', { name: 'Log out' }).click();
      await page.getByText('You are logged out.').waitFor();
      expect((await page.context().cookies()).some(({ name }) => name === '__Host-rt')).toBe(false);
      await enter(page, two, password);
      await page.getByRole('button', { name: 'Globex' }).click();
      await page.waitForURL(`${gateway}/app/`);
      await enter(page, factor, password);
      await page.getByLabel('Code').fill(recoveryCodes[0] ?? '');
      await page.getByRole('button', { name: 'Continue' }).click();
      await page.waitForURL(`${gateway}/app/`);
    });
  });

  test('only the page’s form sends the token of a link, and only to the exact origin', async () => {
    const link = await resetLink('agent@acme.test');
    const sent: Readonly<{ method: string; headers: Record<string, string> }>[] = [];
    await onPage({ viewport: sizes[2] }, async (page) => {
      await page.goto(link);
      page.on('request', (request) => {
        void request.allHeaders().then((headers) => sent.push({ method: request.method(), headers }));
      });
      await page.getByLabel('New password').fill('short');
      await page.getByRole('button', { name: 'Save the password' }).click();
      await page.getByRole('alert').waitFor();
    });
    await eventually(() => expect(sent.map(({ method }) => method)).toContain('POST'));
    expect(sent.find(({ method }) => method === 'POST')?.headers.origin).toBe(gateway);
    expect(new Set(sent.map(({ headers }) => headers.referer))).toEqual(new Set([`${gateway}/`]));
  });

  test('a page of another site can neither frame the pages nor submit their forms', async () => {
    const site = createServer((_request, response) => response.end('<!doctype html><title>evil</title>'));
    site.listen(0, '127.0.0.1');
    await once(site, 'listening');
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(`${gateway}/login`);
    const before = await context.cookies();
    await page.goto(`http://localhost:${(site.address() as AddressInfo).port}`);
    await page.evaluate(`new Promise((resolve) => {
      const frame = document.body.appendChild(document.createElement('iframe'));
      frame.onload = resolve;
      frame.src = '${gateway}/login';
    })`);
    const framed = page.frames().find((frame) => frame !== page.mainFrame());
    expect(await framed?.locator('form').count()).toBe(0);
    await page.evaluate(`(() => {
      document.body.innerHTML = '<form method="post" action="${gateway}/login"><input name="email" value="agent@acme.test"><input name="password" value="${password}"></form>';
      document.forms[0].submit();
    })()`);
    await page.locator('[data-code=cross_site_refused]').waitFor();
    expect(await context.cookies()).toEqual(before);
    await context.close();
    site.close();
  });
});
