import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { refreshDelayMs, retryDelayMs } from './schedule.ts';

const random = fc.double({ min: 0, max: 1, noNaN: true });

test('retries after at least 250 ms, and after at most 5 s without a set or 60 s with one', () => {
  fc.assert(
    fc.property(fc.boolean(), fc.integer({ min: 1, max: 1e6 }), random, (held, failuresInARow, chance) => {
      const delay = retryDelayMs({ held, failuresInARow }, chance);
      expect(delay).toBeGreaterThanOrEqual(250);
      expect(delay).toBeLessThanOrEqual(held ? 60_000 : 5_000);
    }),
  );
});

test('refreshes before the set expires, for any max-age', () => {
  const bounds = { floorMs: 30_000, cacheMaxAgeMs: 600_000 };
  fc.assert(
    fc.property(fc.option(fc.nat(), { nil: undefined }), random, (maxAgeMs, chance) => {
      const delay = refreshDelayMs(maxAgeMs, bounds, chance);
      expect(delay).toBeGreaterThanOrEqual(0.75 * bounds.floorMs);
      expect(delay).toBeLessThanOrEqual(0.9 * bounds.cacheMaxAgeMs);
      if (maxAgeMs !== undefined && maxAgeMs > bounds.floorMs) expect(delay).toBeLessThan(maxAgeMs);
    }),
  );
});
