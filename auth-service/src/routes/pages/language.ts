import type { Request } from 'express';
import { cookieValues } from '../../domain/sessions/cookie-values.ts';
import { de } from './texts-de.ts';
import { en, type Texts } from './texts-en.ts';

/** The texts by language code (RFC 5646). The first language is the default. */
export const languages = { en, de } as const satisfies Record<string, Texts>;

export type Language = keyof typeof languages;

const name = '__Host-lang';
const isLanguage = (text: unknown): text is Language => typeof text === 'string' && Object.hasOwn(languages, text);

/** Remembers the language that the user chose for a year. */
export const languageCookie = (language: Language): string =>
  `${name}=${language}; Max-Age=31536000; Path=/; Secure; HttpOnly; SameSite=Lax`;

/** @returns undefined if the URL names no language. */
export const chosenLanguage = (req: Request): Language | undefined =>
  isLanguage(req.query.lang) ? req.query.lang : undefined;

/** Chooses the language: from the URL, then the cookie, then the browser's preference. */
export function languageOf(req: Request): Language {
  const candidates = [chosenLanguage(req), ...cookieValues(req.headers.cookie, name)];
  const preferred = req.acceptsLanguages(...Object.keys(languages));
  return [...candidates, preferred].find(isLanguage) ?? 'en';
}
