import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, caller, createRouter, notStored } from '@countersign/process-kit';
import { type Content, html, pageAssets, refuseCrossSite, requireOwnHost } from '@countersign/service-kit';
import type { RequestHandler, Router } from 'express';

export const mailErrors = {
  misdirected_request: caller(421, 'This page has another address.'),
  origin_not_allowed: caller(403, 'Other sites cannot open this page.'),
} as const;

const base = "default-src 'none'; base-uri 'none'; form-action 'none'";
const maxShown = 100;
const isMail = (file: string): boolean => /^[\w.-]+\.eml$/.test(file);

/** Keeps other sites from reading the links in emails, also by resolving their own name to this address. */
const guards: RequestHandler[] = [
  requireOwnHost('127.0.0.1'),
  refuseCrossSite,
  // The gateway has no route to this page. A gateway.yaml that adds one must not publish the emails.
  (req, _res, next) => next(req.get('x-forwarded-host') && new AppError('misdirected_request')),
  notStored,
  (_req, res, next) => {
    res.set({ 'referrer-policy': 'no-referrer', 'x-content-type-options': 'nosniff' });
    next();
  },
];

/** Serves the emails that the services of `npm start` wrote to files, newest first. */
export function mailRoutes(directory: string): Router {
  const assets = pageAssets('/mails/files', { style: new URL('./demo/demo.css', import.meta.url) });
  const router = createRouter();
  router.get('/mails', ...guards, async (_req, res) => {
    const files = (await readdir(directory).catch(() => [])).filter(isMail).sort().reverse().slice(0, maxShown);
    const mails = await Promise.all(files.map(async (file) => ({ file, ...(await readMail(join(directory, file))) })));
    const list = mails.map(
      ({ file, to, subject, date }) =>
        html`<article class="card"><h2>${subject}</h2><p class="muted">${to} · ${date}</p>
<iframe src="/mails/${file}" title="${subject}" sandbox="allow-popups allow-popups-to-escape-sandbox" loading="lazy"></iframe></article>`,
    );
    const csp = `${base}; style-src 'self'; img-src 'self'; frame-src 'self'; frame-ancestors 'none'`;
    res.set('content-security-policy', csp).type('html');
    res.send(
      page(
        'Mails',
        html`<link rel="stylesheet" href="${assets.urls.style}"><link rel="icon" type="image/svg+xml" href="${assets.urls.icon}">`,
        html`<header class="top"><span class="brand"><img src="${assets.urls.icon}" alt="" width="26" height="26"> Countersign</span></header>
<main class="stack"><h1>Mails</h1><p>The services wrote these emails to files. Nothing was sent.</p>${list.length === 0 ? html`<p>There are none yet.</p>` : list}</main>`,
      ),
    );
  });
  router.get('/mails/:file', ...guards, async (req, res, next) => {
    const file = String(req.params.file);
    const mail = isMail(file) && (await readMail(join(directory, file)).catch(() => undefined));
    if (!mail) return next();
    const csp = `${base}; frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox`;
    res
      .set('content-security-policy', csp)
      .type('html')
      .send(page(mail.subject, undefined, html`<pre>${linked(mail.text)}</pre>`));
  });
  return router.use(assets.router);
}

const page = (title: string, head: Content, body: Content): string =>
  html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${title}</title><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">${head}</head><body>${body}</body></html>
`.render();

/** Plain text, whose links open in a new tab. */
const linked = (text: string): Content[] =>
  text
    .split(/(https?:\/\/[^\s<>"]+)/)
    .map((part, at) => (at % 2 === 0 ? part : html`<a href="${part}" target="_blank" rel="noreferrer">${part}</a>`));

async function readMail(file: string) {
  const [head = '', ...rest] = (await readFile(file, 'utf8')).split('\r\n\r\n');
  const headers = new Map(
    head
      .replaceAll(/\r\n[ \t]+/g, ' ')
      .split('\r\n')
      .map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  );
  const header = (name: string) => decodeWords(headers.get(name) ?? '');
  return {
    to: header('to'),
    subject: header('subject'),
    date: header('date'),
    text: rest.join('\r\n\r\n').replaceAll('\r\n', '\n'),
  };
}

/** Decodes encoded words in UTF-8 (RFC 2047), as the mailer writes them. */
const decodeWords = (text: string): string =>
  text
    .replaceAll(/(=\?utf-8\?[qb]\?[^?]*\?=)\s+(?==\?)/gi, '$1')
    .replaceAll(/=\?utf-8\?([qb])\?([^?]*)\?=/gi, (_all, kind: string, word: string) =>
      kind.toLowerCase() === 'b'
        ? Buffer.from(word, 'base64').toString()
        : Buffer.from(
            word
              .replaceAll('_', ' ')
              .replaceAll(/=([0-9A-F]{2})/gi, (_byte, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
            'latin1',
          ).toString(),
    );
