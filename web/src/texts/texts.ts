import { stored, useStored } from '../store.ts';
import { de } from './de.ts';
import { en, type Texts } from './en.ts';

export type { Texts } from './en.ts';

export const languages = { en, de } as const;
export type Language = keyof typeof languages;

const storageKey = 'countersign.language';
const isLanguage = (text: string | null | undefined): text is Language => text === 'en' || text === 'de';

/** The language that was chosen, or the first of the browser's that there is. */
function initialLanguage(): Language {
  const chosen = localStorage.getItem(storageKey);
  return [chosen, ...navigator.languages.map((tag) => tag.slice(0, 2))].find(isLanguage) ?? 'en';
}

export const language = stored<Language>(initialLanguage());
language.subscribe(() => {
  localStorage.setItem(storageKey, language.get());
  document.documentElement.lang = language.get();
});
document.documentElement.lang = language.get();

export const useTexts = (): Texts => languages[useStored(language)];

/** The text for an error code. An unknown one is shown, so that people can say it when they ask for help. */
export const errorText = (texts: Texts, code: string): string => texts.errors[code] ?? `${texts.errorTitle} (${code})`;
