import { expect, test } from '@jest/globals';
import { defuse, oneLine, quote } from './quote.ts';

test.each([
  ['https://evil.test/a?b', 'https[:]//evil[.]test/a?b'],
  ['evil.test and www.evil.test', 'evil[.]test and www[.]evil[.]test'],
  ['EVIL．test evil。test evil.рф evil.xn--p1ai', 'EVIL[.]test evil[.]test evil[.]рф evil[.]xn--p1ai'],
  ['evil\u200b.test evil.\u2060test evil.\u200dtest', 'evil[.]test evil[.]test evil[.]\u200dtest'],
  ['mailto:a@evil.test tel:+43 javascript:x', 'mailto[:]a[@]evil[.]test tel[:]+43 javascript[:]x'],
  ['<a href="http://evil.test">x</a>', '<a href="http[:]//evil[.]test">x</a>'],
  ['\\\\evil\\share', '\\ \\evil\\share'],
  ['\u202etset.live\u0000', 'tset[.]live'],
  ['At 12:30, on 2.12.2026. It costs 3.50. Really: yes.', 'At 12:30, on 2.12.2026. It costs 3.50. Really: yes.'],
])('%j has no link', (text, expected) => {
  expect(defuse(text)).toBe(expected);
});

test('every line is quoted, whatever ends it', () => {
  expect(quote('a\r\nb\rc\u2028d\u2029e\u0085f\n')).toBe('> a\n> b\n> c\n> d\n> e\n> f\n> ');
});

test('a name stays on one line, within its quotation marks', () => {
  expect(oneLine('Alex”\nwrote: “evil.test')).toBe('Alex wrote: evil[.]test');
  expect(oneLine('x'.repeat(300))).toHaveLength(100);
});

test('a long text takes linear time', () => {
  const started = performance.now();
  for (const part of ['a.', 'a:', 'a@', '\\', 'aaaaaaaa', ':']) defuse(part.repeat(100_000));
  expect(performance.now() - started).toBeLessThan(2_000);
});
