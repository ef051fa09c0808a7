const encode = (text: string, times = 1): string => {
  const once = [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
  return once.replaceAll('%', `%${'25'.repeat(times - 1)}`);
};
const upperAt = (path: string, at: number): string =>
  path.slice(0, at) + path.charAt(at).toUpperCase() + path.slice(at + 1);
const letters = [...'/reports'].map((_, at) => at).slice(1);

/** Characters that Unicode maps to a letter of `reports`, in some way that a router may use. */
const lookAlikes: Readonly<Record<string, string>> = {
  r: 'ｒⓡʳᵣ𝐫𝕣ř',
  e: 'ｅⓔᵉₑ𝐞ℯé',
  p: 'ｐⓟᵖ𝐩ṗ',
  o: 'ｏⓞᵒₒ𝐨ºö',
  t: 'ｔⓣᵗ𝐭ţ',
  s: 'ｓⓢˢſ𝐬š',
};
/** Characters that a router may drop, or take for the end of a segment. */
const ignored = ['\u00ad', '\u034f', '\u200b', '\u200c', '\u200d', '\u2060', '\ufe0f', '\ufeff', '\u0301', '\u{e0020}'];
const ends = [
  '.',
  '..',
  '...',
  '%20',
  '%20%20',
  '+',
  '%09',
  '%0a',
  '%0d',
  '%00',
  '%00.html',
  '%C2%A0',
  '%C2%85',
  '%E3%80%80',
  '%2509',
  '%2520',
  '%252e',
  ';',
  ';a',
  ';a=b',
  '%3b',
  '%253b',
  '%EF%BC%9B',
  '~',
  '::$DATA',
  '%3f',
  '%253f',
  '%23',
  '%2523',
  ',',
  '$',
  '*',
  ':',
];

const all = [
  // Case.
  ...['/REPORTS/q3', '/Reports/q3', '/reports/Q3', '/REPORTS', '/HEALTHZ', '/REPORTS/', '/Reports/Q3/', '/rEPORTS'],
  ...letters.flatMap((at) => [`${upperAt('/reports', at)}/q3`, upperAt('/reports', at), upperAt('/healthz', at)]),
  // The end, and empty segments.
  ...[
    '/reports/',
    '/reports/q3/',
    '/healthz/',
    '/reports//',
    '/reports/q3//',
    '/reports/?',
    '/reports/?a=b',
    '/reports?',
  ],
  ...[
    '//reports/q3',
    '/reports//q3',
    '///reports/q3',
    '//reports',
    '/x//reports/q3',
    '/.//reports/q3',
    '/reports/q3///',
  ],
  // Dot segments.
  ...['/./reports/q3', '/reports/./q3', '/x/../reports/q3', '/reports/x/../q3', '/%2e/reports/q3', '/.reports/q3'],
  ...['/x/%2e%2e/reports/q3', '/x/%2E./reports/q3', '/x/%252e%252e/reports/q3', '/x/..%2freports/q3', '/..reports/q3'],
  ...['/x/..%5creports/q3', '/x/..;/reports/q3', '/x/;/../reports/q3', '/reports./q3', '/x/%c0%ae%c0%ae/reports/q3'],
  '/x/%EF%BC%8E%EF%BC%8E/reports/q3',
  // Other slashes.
  ...['/reports%2fq3', '/reports%2Fq3', '/reports%252fq3', '/reports%5cq3', '/reports%255cq3', '/reports\\q3'],
  ...['\\reports\\q3', '/reports%EF%BC%8Fq3', '/reports%E2%88%95q3', '/reports%c0%afq3', '/%2freports/q3'],
  ...['/%2Freports/q3', '/%255creports/q3'],
  // Other forms of a target.
  ...['http://gateway.test/reports/q3', 'HTTP://gateway.test/REPORTS/q3', 'reports/q3', '*', '/reports/q3#a'],
  ...['/x?/../reports/q3', '/x#/reports/q3', '/reports%u002fq3', '/%u0072eports/q3'],
  // Percent-encoding, once and several times.
  ...letters.flatMap((at) =>
    [1, 2, 3].map(
      (times) => `${'/reports'.slice(0, at)}${encode('/reports'.charAt(at), times)}${'/reports'.slice(at + 1)}/q3`,
    ),
  ),
  ...[1, 2, 3].flatMap((times) => ['reports', 'REPORTS', 'healthz'].map((text) => `/${encode(text, times)}`)),
  ...ends.flatMap((end) => [`/reports${end}/q3`, `/reports${end}`, `/REPORTS${end}`, `/healthz${end}`]),
  // Unicode.
  ...Object.entries(lookAlikes).flatMap(([letter, characters]) =>
    [...characters].map((character) => `/${'reports'.replace(letter, encode(character))}/q3`),
  ),
  ...ignored.flatMap((character) => [
    `/re${encode(character)}ports/q3`,
    `/reports${encode(character)}`,
    `/re${encode(character, 2)}ports/q3`,
  ]),
];

/** Other spellings of `/reports/q3`, `/reports` and `/healthz`. */
export const spellings: readonly string[] = [...new Set(all)];
