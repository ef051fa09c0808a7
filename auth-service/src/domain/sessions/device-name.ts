/** Names by what a `User-Agent` contains. The first match counts: browsers also name those that they imitate. */
const browsers: readonly (readonly [part: RegExp, name: string])[] = [
  [/Edg(?:A|iOS)?\//, 'Edge'],
  [/OPR\//, 'Opera'],
  [/SamsungBrowser\//, 'Samsung Internet'],
  [/(?:Firefox|FxiOS)\//, 'Firefox'],
  [/(?:Chrome|Chromium|CriOS)\//, 'Chrome'],
  [/Version\/.*Safari\//, 'Safari'],
  [/^curl\//, 'curl'],
];
const systems: typeof browsers = [
  [/iPhone/, 'iPhone'],
  [/iPad/, 'iPad'],
  [/Android/, 'Android'],
  [/Windows/, 'Windows'],
  [/CrOS/, 'ChromeOS'],
  [/Mac OS X|Macintosh/, 'macOS'],
  [/Linux/, 'Linux'],
];

/** @returns Such as `Firefox, Windows`. Undefined for a program that names neither. */
export function deviceName(userAgent: string | null): string | undefined {
  const named = [browsers, systems].flatMap((list) => list.find(([part]) => part.test(userAgent ?? ''))?.[1] ?? []);
  return named.length === 0 ? undefined : named.join(', ');
}
