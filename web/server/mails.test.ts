import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openMailer } from '@countersign/mail';
import { commonErrors, createHealth, createLogger, createMetrics } from '@countersign/process-kit';
import { createServiceApp } from '@countersign/service-kit';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import request from 'supertest';
import { mailErrors, mailRoutes } from './mails.ts';

const logger = createLogger('web', 'silent');
const home = mkdtempSync(join(tmpdir(), 'countersign-mails-'));
const link = 'http://127.0.0.1:8080/verify-email?token=a_b-c';
const mailer = openMailer({ COUNTERSIGN_HOME: home, NODE_ENV: 'test', AUTH_MAIL_FROM: 'Us <us@x.test>' }, logger);
const send = (subject: string) => {
  const text = `Öffnen Sie:\n\n${link}\n\n<b>`;
  return mailer.send({ kind: 'verification', to: 'ann@x.test', subject, text, link }, new AbortController().signal);
};
let server: ReturnType<typeof createServer>;
let url: string;
beforeAll(async () => {
  await send('Bestätigen & <los>');
  const app = createServiceApp({
    logger,
    health: createHealth({}),
    metrics: createMetrics(),
    errors: { ...commonErrors, ...mailErrors },
    identity: (_req, _res, next) => next(),
    routes: mailRoutes(join(home, 'mail')),
  });
  server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
  rmSync(home, { recursive: true });
});

test('lists the emails, each in a sandboxed frame', async () => {
  const { text, headers } = await request(url).get('/mails');
  expect(text).toContain('<h2>Bestätigen &amp; &lt;los&gt;</h2><p class="muted">ann@x.test');
  expect(headers).toMatchObject({ 'referrer-policy': 'no-referrer', 'cache-control': 'no-store' });
  expect(headers['content-security-policy']).toContain("default-src 'none'");
  const [, frame = ''] =
    /<iframe src="([^"]+)" [^>]*sandbox="allow-popups allow-popups-to-escape-sandbox"/.exec(text) ?? [];
  const mail = await request(url).get(frame);
  expect(mail.text).toContain(`Öffnen Sie:\n\n<a href="${link}" target="_blank" rel="noreferrer">`);
  expect(mail.text).toContain('&lt;b&gt;');
  expect(mail.headers).toMatchObject({
    'referrer-policy': 'no-referrer',
    'content-security-policy': expect.stringMatching(/frame-ancestors 'self'; sandbox allow-popups/),
  });
});

test('shows a subject that is no valid UTF-8', async () => {
  // Without other characters, the mailer writes a subject as it is.
  await send('=?utf-8?q?a_b%=FF?=');
  expect((await request(url).get('/mails')).text).toContain('<h2>a b%\ufffd</h2>');
});

test.each([
  ['another host', { host: 'evil.example' }, 421],
  ['another port', { host: 'localhost:1' }, 421],
  ['a fetch of another site', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors' }, 403],
  [
    'a frame of another site',
    { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' },
    403,
  ],
  ['another origin', { origin: 'http://127.0.0.1:8080' }, 403],
  ['the gateway', { 'x-forwarded-host': 'localhost:8080' }, 421],
])('refuses %s', async (_what, headers, status) => {
  for (const path of ['/mails', '/mails/a.eml']) {
    const answer = await request(url)
      .get(path)
      .set(headers as Record<string, string>);
    expect([answer.status, answer.text]).toEqual([status, expect.not.stringContaining('verify-email')]);
  }
});

test('opens from a link on the page of the demonstration', async () => {
  const navigation = { 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
  expect((await request(url).get('/mails').set(navigation)).status).toBe(200);
});

test.each(['..%2Fsecret.eml', 'nothing.eml', 'a.txt'])('/mails/%s is not found', async (file) => {
  expect((await request(url).get(`/mails/${file}`)).status).toBe(404);
});
