import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Registry } from 'prom-client';
import { Histogram } from './metrics.ts';

const values = fc.array(fc.constantFrom(0, 0.1, 0.3, 1, 2.4, 2.5, 2.6, 1e9));

test('counts in the same buckets as the metric that it exports', async () => {
  await fc.assert(
    fc.asyncProperty(values, values, async (good, bad) => {
      const registry = new Registry();
      const histogram = new Histogram({
        name: 'seconds',
        help: 'A "help".',
        labelNames: ['route', 'status'],
        buckets: [0.1, 1, 2.5],
        registry,
      });
      for (const [status, observed] of [[200, good] as const, [404, bad] as const]) {
        const series = histogram.of('b "c"', status);
        for (const value of observed) series.observe(value);
      }
      const text = await registry.metrics();
      for (const { labels, counts, sum } of histogram.all) {
        if (counts.every((count) => count === 0)) continue;
        const named = `route="b \\"c\\"",status="${labels.status}"`;
        let total = 0;
        for (const [at, le] of ['0.1', '1', '2.5', '+Inf'].entries()) {
          total += counts[at] as number;
          expect(text).toContain(`seconds_bucket{le="${le}",${named}} ${total}\n`);
        }
        expect(text).toContain(`seconds_sum{${named}} ${sum}\n`);
        expect(text).toContain(`seconds_count{${named}} ${total}\n`);
      }
    }),
  );
});
