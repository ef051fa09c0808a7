import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import {
  AppError,
  allowOnly,
  caller,
  createRouter,
  isLoopback,
  isLoopbackHost,
  notStored,
} from '@countersign/process-kit';
import { type Content, html, pageAssets, readSeedFile } from '@countersign/service-kit';
import type { Router } from 'express';
import { z } from 'zod';
import { pageHeaders } from './files.ts';

export const demoErrors = {
  cross_site_refused: caller(403, 'Only the page at / of this installation can send this request.'),
  rate_limited: caller(429, 'Wait a second, then try again.', 1),
} as const;

const contentSecurityPolicy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const forgedHeaders = { 'x-user-id': 'the-boss', 'x-user-role': 'admin', 'x-tenant-id': 'acme' };
const forgeEveryMs = 1_000;
const forgeTimeoutMs = 2_000;
const tour = resolve(import.meta.dirname, '../../docs/first-half-hour.md');

const member = z.object({ email: z.string(), role: z.string(), can_log_in: z.boolean().default(true) });
const tenant = z.object({ name: z.string(), members: z.array(member) });
const seed = z.object({ password: z.string(), tenants: z.array(tenant) });

type DemoOptions = Readonly<{
  /** The file from which the services create the accounts. */
  seedFile: string;
  /** The gateway's origins. Only their pages can send the forged request. */
  origins: readonly string[];
  echoPort: number;
  consoleUrl: string;
  /** The page with the emails. */
  mailsUrl: string;
  /** Milliseconds on a monotonic clock. */
  nowMs(): number;
}>;

/** Says why the demonstration must not run here: everyone knows the password of its accounts. */
export function demoProblems(environment: string | undefined, host: string, origins: readonly string[]): string[] {
  const problems = [];
  if (environment === 'production') problems.push('there is no demonstration in production');
  if (!isLoopbackHost(host)) problems.push(`other machines must not reach the demonstration, but HOST is ${host}`);
  for (const origin of origins.filter((one) => !isLoopback(one)))
    problems.push(`other machines must not reach the demonstration, but WEB_PUBLIC_ORIGINS has ${origin}`);
  return problems.map((problem) => `WEB_DEMO: ${problem}. Set WEB_DEMO=0`);
}

/** Serves the page at `/` of `npm start`, and sends its forged request. */
export function demoRoutes({ seedFile, origins, echoPort, consoleUrl, mailsUrl, nowMs }: DemoOptions): Router {
  const target = `http://127.0.0.1:${echoPort}/demo/echo`;
  const file = (name: string) => new URL(`./demo/${name}`, import.meta.url);
  const assets = pageAssets('/app/demo', { style: file('demo.css'), script: file('demo.js') });
  const page = fill(readFileSync(file('page.html'), 'utf8'), {
    ...assets.urls,
    ...accountsOf(seedFile),
    console: consoleUrl,
    mails: mailsUrl,
    forged: [`GET ${target}`, ...Object.entries(forgedHeaders).map((header) => header.join(': '))].join('\n'),
  });
  const router = createRouter();
  let nextForgeryMs = Number.NEGATIVE_INFINITY;
  router.get('/', (req, res, next) => {
    // A gateway.yaml can publish this machine under another name.
    const host = `http://${req.get('x-forwarded-host') ?? req.get('host')}`;
    if (!URL.canParse(host) || !isLoopback(host)) return next();
    res.set({ ...pageHeaders, 'content-security-policy': contentSecurityPolicy, 'cache-control': 'no-cache' });
    res.type('html').send(page);
  });
  router.use(assets.router);
  router.get('/app/demo/tour.txt', (_req, res) => res.type('text').sendFile(tour, { headers: pageHeaders }));
  router.post('/demo/forgery', notStored, async (req, res) => {
    if (!origins.includes(req.get('origin') ?? '')) throw new AppError('cross_site_refused');
    if (nowMs() < nextForgeryMs) throw new AppError('rate_limited');
    nextForgeryMs = nowMs() + forgeEveryMs;
    const signal = AbortSignal.timeout(forgeTimeoutMs);
    const response = await fetch(target, { headers: forgedHeaders, redirect: 'error', signal }).catch((cause) => {
      throw new AppError('unavailable', { cause });
    });
    res.json({ status: response.status, refusal: await response.json() });
  });
  router.all('/demo/forgery', allowOnly('POST'));
  return router;
}

/** Replaces each `{{name}}`. */
const fill = (template: string, values: Readonly<Record<string, Content>>): string =>
  template.replace(/\{\{(\w+)\}\}/g, (_all, name: string) => html`${values[name]}`.render());

function accountsOf(seedFile: string) {
  const { password, tenants } = readSeedFile(seedFile, seed);
  const accounts = tenants.flatMap(({ name, members }) =>
    members.filter((one) => one.can_log_in).map((one) => ({ ...one, of: `${one.role} at ${name}` })),
  );
  const choice = ({ email, of }: (typeof accounts)[number], at: number) =>
    html`<label><input type="radio" name="account" value="${email}" ${at === 0 && html`checked`}> ${email} <span class="muted">${of}</span></label>`;
  return { password, accounts: accounts.map(choice) };
}
