import { useStored } from '../store.ts';
import { type Language, language } from './texts.ts';
import { timeInWords } from './time-in-words.ts';

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
