import type { Request } from 'express';
import { cookieValues } from '../../domain/sessions/cookie-values.ts';
import { de } from './texts-de.ts';
import { en, type Texts } from './texts-en.ts';

/** The texts of every language, by the code of RFC 5646. The first one is the default. */
export const languages = { en, de } as const satisfies Record<string, Texts>;

export type Language = keyof typeof languages;

const name = '__Host-lang';
const isLanguage = (text: unknown): text is Language => typeof text === 'string' && Object.hasOwn(languages, text);

/** The language chosen on a page, kept for a year. */
export const languageCookie = (language: Language): string =>
  `${name}=${language}; Max-Age=31536000; Path=/; Secure; HttpOnly; SameSite=Lax`;

/** @returns undefined if the URL has none. */
export const chosenLanguage = (req: Request): Language | undefined =>
  isLanguage(req.query.lang) ? req.query.lang : undefined;

/** The language in the URL, the earlier choice, or the browser's preference, in this order. */
export function languageOf(req: Request): Language {
  const candidates = [chosenLanguage(req), ...cookieValues(req.headers.cookie, name)];
  const preferred = req.acceptsLanguages(...Object.keys(languages));
  return [...candidates, preferred].find(isLanguage) ?? 'en';
}
