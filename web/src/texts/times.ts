import { useStored } from '../store.ts';
import { type Language, language } from './texts.ts';
import { timeInWords } from './time-in-words.ts';

/** The browser's form of the language, which has the dates of its country. */
const localeOf = (of: Language): string => navigator.languages.find((tag) => tag.startsWith(of)) ?? of;

const momentOf = (of: string, time: Date): string =>
  time.toLocaleString(of, { dateStyle: 'medium', timeStyle: 'short' });

/** How the language of the page says times. */
export function useTimes() {
  const of = localeOf(useStored(language));
  return {
    inWords: (time: string) => timeInWords(of, new Date(time), new Date()),
    moment: (time: string) => momentOf(of, new Date(time)),
    number: (value: number, fractionDigits = 0) =>
      value.toLocaleString(of, { minimumFractionDigits: fractionDigits, maximumFractionDigits: fractionDigits }),
  };
}
