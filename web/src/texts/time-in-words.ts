const units = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
] as const;

/** Describes a time within six days in words, such as "3 hours ago", and any other time as a date. */
export function timeInWords(of: string, time: Date, now: Date): string {
  const seconds = (time.getTime() - now.getTime()) / 1_000;
  if (Math.abs(seconds) >= 7 * 86_400) {
    return time.toLocaleDateString(of, { day: 'numeric', month: 'short', year: 'numeric' });
  }
  const words = new Intl.RelativeTimeFormat(of, { numeric: 'auto' });
  const [unit, length] = units.find(([, each]) => Math.abs(seconds) >= each) ?? ['second', Number.POSITIVE_INFINITY];
  return words.format(Math.trunc(seconds / length), unit);
}
