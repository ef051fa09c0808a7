import { expect, test } from '@jest/globals';
import { deviceName } from './device-name.ts';

const windows =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36';
const iPhone = 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)';

test.each([
  [windows, 'Chrome, Windows'],
  [`${windows} Edg/140.0`, 'Edge, Windows'],
  [`${iPhone} Version/18.0 Mobile/15E148 Safari/604.1`, 'Safari, iPhone'],
  [`${iPhone} CriOS/140.0 Mobile/15E148 Safari/604.1`, 'Chrome, iPhone'],
  ['Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', 'Firefox, Linux'],
  ['Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/18.0 Safari/605.1', 'Safari, macOS'],
  ['curl/8.5.0', 'curl'],
  ['my-script/1.0', undefined],
  ['', undefined],
  [null, undefined],
])('names %j %s', (userAgent, name) => {
  expect(deviceName(userAgent)).toBe(name);
});
