import { limitName } from '../contenders.ts';
import type { Sample } from '../rounds.ts';
import { markdownTable, showNumber, showSpread } from './markdown.ts';
import { median, ratioOf, spreadOf } from './statistics.ts';

const header = ['server', 'requests/s', 'of the limit', 'CPU µs a request', 'limit / CPU', 'core', 'p50 ms', 'p99 ms'];

/** Medians of the rounds with the smallest and the largest, and the ratios to the limit within each round. */
export function comparisonTable(samples: ReadonlyMap<string, readonly Sample[]>): string {
  const limit = samples.get(limitName) ?? [];
  const rows = [...samples].map(([name, all]) => {
    const cpu = all.flatMap(({ cpuMicros }) => cpuMicros ?? []);
    const busy = all.flatMap((sample) => sample.busy ?? []);
    const rates = all.map(({ perSecond }) => perSecond);
    return [
      name,
      showSpread(spreadOf(rates)),
      showNumber(
        ratioOf(
          rates,
          limit.map(({ perSecond }) => perSecond),
        ),
        2,
      ),
      cpu.length === 0 ? '–' : showSpread(spreadOf(cpu), 1),
      showNumber(
        ratioOf(
          limit.map(({ cpuMicros }) => cpuMicros),
          all.map(({ cpuMicros }) => cpuMicros),
        ),
        2,
      ),
      busy.length === 0 ? '–' : `${showNumber(median(busy) * 100)}%`,
      showNumber(median(all.map(({ p50Ms }) => p50Ms)), 2),
      showNumber(median(all.map(({ p99Ms }) => p99Ms)), 2),
    ];
  });
  return markdownTable(header, rows);
}
