import { type Content, html } from '@countersign/service-kit';
import type { Request } from 'express';
import { cookieValues } from '../../domain/sessions/cookies.ts';
import { de } from './texts-de.ts';
import { en, type Texts } from './texts-en.ts';

/** The texts by language code (RFC 5646). The first language is the default. */
export const languages = { en, de } as const satisfies Record<string, Texts>;

export type Language = keyof typeof languages;

const name = '__Host-lang';
const isLanguage = (text: unknown): text is Language => typeof text === 'string' && Object.hasOwn(languages, text);

/** Remembers the language that the user chose for a year. The web client reads and sets this cookie too. */
export const languageCookie = (language: Language): string =>
  `${name}=${language}; Max-Age=31536000; Path=/; Secure; SameSite=Lax`;

/** @returns undefined if the URL names no language. */
export const chosenLanguage = (req: Request): Language | undefined =>
  isLanguage(req.query.lang) ? req.query.lang : undefined;

/** Chooses the language: from the URL, then the cookie, then the browser's preference. */
export function languageOf(req: Request): Language {
  const candidates = [chosenLanguage(req), ...cookieValues(req.headers.cookie, name)];
  const preferred = req.acceptsLanguages(...Object.keys(languages));
  return [...candidates, preferred].find(isLanguage) ?? 'en';
}

/**
 * Referrer-Policy keeps emailed tokens in a page's URL from leaking. With `no-referrer`, browsers would send `Origin:
 * null` (Fetch, "serializing a request origin"), but the forms need the exact origin.
 */
export const pageHeaders = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  'x-frame-options': 'DENY',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'strict-origin',
  'cross-origin-opener-policy': 'same-origin',
} as const;

type Document = Readonly<{
  language: Language;
  title: string;
  /** Whether the page shows an error. The title of such a page starts with "Error". */
  refused: boolean;
  /** This page's URL in another language. */
  inLanguage(language: Language): string;
  /** Where the product's name leads. */
  home: string;
  /** The pages of the account. */
  nav?: readonly Readonly<{ path: string; label: string; isCurrent: boolean }>[];
  /** The URLs of the style sheet and the icon. */
  assets: Readonly<Record<'style' | 'icon', string>>;
  body: Content;
}>;

/** Renders the HTML document. */
export function documentOf({ language, title, refused, inLanguage, home, nav, assets, body }: Document): string {
  const t = languages[language];
  const others = Object.entries(languages).filter(([code]) => code !== language);
  return html`<!doctype html>
<html lang="${language}"><head><meta charset="utf-8"><title>${refused && `${t.error}: `}${title} · Countersign</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<link rel="stylesheet" href="${assets.style}"><link rel="icon" type="image/svg+xml" href="${assets.icon}"></head>
<body><header class="top"><a class="brand" href="${home}"><img src="${assets.icon}" alt="" width="26" height="26"> Countersign</a>
<nav aria-label="${t.languages}">${others.map(
    ([code, texts]) =>
      html`<a href="${inLanguage(code as Language)}" lang="${code}" hreflang="${code}">${texts.language}</a>`,
  )}</nav></header>
${
  nav &&
  html`<nav class="pages" aria-label="${t.account.title}">${nav.map(
    ({ path, label, isCurrent }) => html`<a href="${path}" ${isCurrent && html`aria-current="page"`}>${label}</a> `,
  )}<a href="/logout">${t.logOut}</a></nav>`
}
<main class="${nav === undefined ? 'card' : 'wide card'} stack"><h1>${title}</h1>
${body}</main></body></html>
`.render();
}
