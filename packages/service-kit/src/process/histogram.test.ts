import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { AggregatorRegistry, Histogram, Registry } from 'prom-client';
import { createHistogram } from './histogram.ts';

const shape = { name: 'seconds', help: 'A "help".', labelNames: ['route', 'status'] as const, buckets: [0.1, 1, 2.5] };

const labels = fc.record({ route: fc.constantFrom('a', 'b "c"', '\n'), status: fc.constantFrom('200', '404') });
const observations = fc.array(fc.record({ labels, value: fc.constantFrom(0, 0.1, 0.3, 1, 2.4, 2.5, 2.6, 1e9) }));
type Observations = Parameters<Parameters<typeof observations.map>[0]>[0];

/** The same observations in this histogram and in the one of prom-client. */
function both(observed: Observations): [own: Registry, prom: Registry] {
  const [own, prom] = [new Registry(), new Registry()];
  const histogram = createHistogram({ ...shape, registry: own });
  const promHistogram = new Histogram({ ...shape, registers: [prom] });
  const series = new Map<string, ReturnType<typeof histogram.series>>();
  for (const { labels, value } of observed) {
    const key = JSON.stringify(labels);
    const one = series.get(key) ?? histogram.series(labels);
    series.set(key, one);
    one.observe(value);
    promHistogram.observe(labels, value);
  }
  return [own, prom];
}

/** What a worker sends to the primary, without the exemplars, which nothing sets. */
const asJson = async (registry: Registry) =>
  JSON.parse(JSON.stringify(await registry.getMetricsAsJSON()), (key, value) =>
    key === 'exemplar' ? undefined : value,
  );

test('exports the same text and JSON as a histogram of prom-client', async () => {
  await fc.assert(
    fc.asyncProperty(observations, async (observed) => {
      const [own, prom] = both(observed);
      expect(await own.metrics()).toBe(await prom.metrics());
      expect(await asJson(own)).toEqual(await asJson(prom));
    }),
  );
});

test('adds up across workers like a histogram of prom-client', async () => {
  await fc.assert(
    fc.asyncProperty(observations, observations, async (one, other) => {
      const workers = [both(one), both(other)];
      const [own, prom] = await Promise.all(
        [0, 1].map(async (which) => {
          const exported = await Promise.all(workers.map((registries) => registries[which]?.getMetricsAsJSON()));
          return AggregatorRegistry.aggregate(JSON.parse(JSON.stringify(exported))).metrics();
        }),
      );
      expect(own).toBe(prom);
    }),
  );
});

test('starts again at zero when the registry is reset', async () => {
  const registry = new Registry();
  createHistogram({ ...shape, registry })
    .series({ route: 'a', status: '200' })
    .observe(1);
  registry.resetMetrics();
  expect(await registry.metrics()).toContain('seconds_count{route="a",status="200"} 0');
});
