import { stored, useStored } from '../store.ts';
import { de } from './de.ts';
import { en, type Texts } from './en.ts';
import { timeInWords } from './time-in-words.ts';

export type { Texts } from './en.ts';
export { errorText } from './error-texts.ts';

export const languages = { en, de } as const;
export type Language = keyof typeof languages;

/** The account pages use the same cookie. */
const cookie = '__Host-lang';
const isLanguage = (text: string | undefined): text is Language => text === 'en' || text === 'de';

/** The chosen language, or the first of the browser's languages that we support. */
function initialLanguage(): Language {
  const chosen = new RegExp(`(?:^|; )${cookie}=(\\w+)`).exec(document.cookie)?.[1];
  return [chosen, ...navigator.languages.map((tag) => tag.slice(0, 2))].find(isLanguage) ?? 'en';
}

export const language = stored<Language>(initialLanguage());
language.subscribe(() => {
  void cookieStore.set({ name: cookie, value: language.get(), expires: Date.now() + 31_536_000_000, sameSite: 'lax' });
  document.documentElement.lang = language.get();
});
document.documentElement.lang = language.get();

export const useTexts = (): Texts => languages[useStored(language)];

/** @param name From the API: null if the person has no name, and absent while names are unavailable. */
export const nameText = (texts: Texts, name: string | null | undefined): string =>
  name === undefined ? texts.namesUnavailable : (name ?? texts.unnamed);

/** The browser's regional variant of the language, for its date format. */
const localeOf = (of: Language): string => navigator.languages.find((tag) => tag.startsWith(of)) ?? of;

/** Formats times in the language of the page. */
export function useTimes() {
  const of = localeOf(useStored(language));
  return {
    inWords: (time: string) => timeInWords(of, new Date(time), new Date()),
    moment: (time: string) => new Date(time).toLocaleString(of, { dateStyle: 'medium', timeStyle: 'short' }),
    number: (value: number, fractionDigits = 0) =>
      value.toLocaleString(of, { minimumFractionDigits: fractionDigits, maximumFractionDigits: fractionDigits }),
  };
}
