import { expect, test } from '@jest/globals';
import { downloadRate, RateMeter, uploadRate, wholeBodyRate } from './min-rate.ts';

const rate = { bytesPerSec: 1024, windowMs: 20_000 };

/** @param chunks Bytes that arrive in each second. @returns The second in which the rate is too slow. */
function tooSlowAt(chunks: (second: number) => number, seconds: number): number | undefined {
  const meter = new RateMeter(rate, 0, 0);
  let bytes = 0;
  for (let second = 1; second <= seconds; second += 1) {
    bytes += chunks(second);
    if (meter.isTooSlow(second * 1000, bytes)) return second;
  }
  return undefined;
}

test.each([
  ['silence', () => 0, 20],
  ['a byte every 5 s', (second: number) => (second % 5 === 0 ? 1 : 0), 20],
  ['one byte a second less than the rate', () => 1023, 20],
  ['a burst and then silence', (second: number) => (second === 1 ? 1_000_000 : 0), 40],
  ['exactly the rate', () => 1024, undefined],
  ['a slow line of 2 KiB/s', () => 2048, undefined],
  ['a line that is down for 15 s of every 40', (second: number) => (second % 40 < 15 ? 0 : 8192), undefined],
])('%s: the second in which it is too slow, if any', (_name, chunks, at) => {
  expect(tooSlowAt(chunks, 200)).toBe(at);
});

test('time in which the gateway does not wait for the client does not count', () => {
  const meter = new RateMeter(rate, 0, 0);
  for (let ms = 0; ms < 100_000; ms += 10_000) {
    meter.restart();
    expect(meter.isTooSlow(ms, 0)).toBe(false);
  }
  expect(meter.isTooSlow(109_999, 0)).toBe(false);
  expect(meter.isTooSlow(110_000, 0)).toBe(true);
  expect(meter.isTooSlow(130_000, undefined)).toBe(false);
  expect(meter.isTooSlow(150_000, 0)).toBe(false);
  expect(meter.isTooSlow(170_000, 0)).toBe(true);
});

test('without a rate one byte per idle timeout is enough', () => {
  const meter = new RateMeter({ bytesPerSec: 0, windowMs: 1_000 }, 0, 0);
  expect(meter.isTooSlow(1_000, 1)).toBe(false);
  expect(meter.isTooSlow(2_000, 1)).toBe(true);
});

test.each([
  [{ minRate: 1024, idleMs: 60_000 }, 20_000, 60_000],
  [{ minRate: 1024, idleMs: 5_000 }, 5_000, 5_000],
  [{ minRate: 1024, idleMs: 3_600_000 }, 20_000, 60_000],
  [{ minRate: 0, idleMs: 3_600_000 }, 3_600_000, 3_600_000],
])('windows of %j are %i ms for streamed bodies and %i ms for responses', ({ minRate, idleMs }, upload, download) => {
  const limits = { minRate, timeouts: { connectMs: 1, responseMs: 1, idleMs } };
  expect(uploadRate(limits)).toEqual({ bytesPerSec: minRate, windowMs: upload });
  expect(downloadRate(limits)).toEqual({ bytesPerSec: minRate, windowMs: download });
  expect(wholeBodyRate(limits)).toEqual({ bytesPerSec: minRate, windowMs: 20_000 });
});
