import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, type StartedProcess } from '@countersign/testing';
import { expect, test } from '@jest/globals';
import { call } from '../../stacks/client.ts';

type Running = Readonly<{ gateway: string; home: string; everything: StartedProcess }>;
type Page = Readonly<{ status: number; headers: Headers; text: string }>;

/** Tests the account pages through the gateway, like a browser without JavaScript. */
export function testAccountPages(running: () => Running): void {
  test('a person registers with the printed link, logs in and logs out, all without JavaScript', async () => {
    const { gateway, home, everything } = running();
    const email = `person-${process.pid}@example.test`;
    const chosen = 'a walrus on the gramophone';
    const browser = browserAt(gateway);

    const asked = await browser.submit(await browser.open('/register'), { email });
    expect([asked.status, asked.headers.get('location')]).toEqual([303, '/register?notice=registered']);
    const link = await eventually(() => {
      const [, printed] = new RegExp(`An email to ${email}: (\\S+)`).exec(everything.output()) ?? [];
      if (printed === undefined) throw new Error('no link was printed');
      return new URL(printed);
    });
    expect(link.origin).toBe(gateway);
    const page = await browser.open(link.pathname + link.search);
    expect(page.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
    expect(page.headers.get('referrer-policy')).toBe('strict-origin');
    const confirmed = await browser.submit(page, { email, name: 'Walrus', password: chosen });
    expect([confirmed.status, confirmed.headers.get('location')]).toEqual([303, '/app/']);
    const headers = { cookie: browser.cookie(), origin: gateway, 'x-requested-with': 'fetch' };
    const { body } = await call(`${gateway}/v1/auth/refresh`, { body: {}, headers });
    expect(body.user).toMatchObject({ email });
    const token = String(body.access_token);
    const profile = { email, display_name: 'Walrus' };
    await eventually(async () => expect((await call(`${gateway}/v1/users/me`, { token })).body).toMatchObject(profile));

    const form = await browser.open('/logout');
    const foreign = await browser.submit(form, {}, 'https://evil.example');
    expect([foreign.status, foreign.text.includes('data-code="cross_site_refused"')]).toEqual([403, true]);
    expect((await browser.submit(form, {})).headers.get('location')).toBe('/login?notice=logged_out');
    await eventually(async () =>
      expect((await call(`${gateway}/v1/users/me`, { token })).body.code).toBe('token_revoked'),
    );

    // The mailer in `npm start` logs the link once on purpose. Request logs must not contain it.
    const lines = await eventually(() => {
      const all = readdirSync(join(home, 'logs')).flatMap((file) =>
        readFileSync(join(home, 'logs', file), 'utf8').split('\n'),
      );
      // On a busy machine, the log lines appear later.
      expect(all.filter((line) => line.includes('"path":"/verify-email"')).length).toBeGreaterThan(1);
      return all;
    });
    const holding = lines.filter((line) => line.includes(link.searchParams.get('token') ?? ''));
    expect(holding.map((line) => JSON.parse(line).msg)).toEqual(['an email was written to a file, not sent']);
  });
}

/** Keeps cookies, and sends forms with their hidden fields. */
function browserAt(gateway: string) {
  const jar = new Map<string, string>();
  const cookie = () => [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
  async function send(path: string, init: RequestInit = {}): Promise<Page> {
    const headers = { cookie: cookie(), ...(init.headers as Record<string, string>) };
    const response = await fetch(gateway + path, { ...init, headers, redirect: 'manual' });
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (value === '') jar.delete(name);
      else jar.set(name, value);
    }
    return { status: response.status, headers: response.headers, text: await response.text() };
  }
  return {
    cookie,
    open: (path: string) => send(path),
    submit({ text }: Page, values: Readonly<Record<string, string>>, origin = gateway) {
      const [, action = ''] = /<form method="post" action="([^"]+)"/.exec(text) ?? [];
      const inputs = text.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)">/g);
      const hidden = Object.fromEntries([...inputs].map(([, name = '', value = '']) => [name, value]));
      const body = new URLSearchParams({ ...hidden, ...values });
      return send(action, { method: 'POST', body, headers: { origin } });
    },
  };
}
