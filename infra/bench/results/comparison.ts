import { limitName } from '../contenders.ts';
import type { Sample } from '../rounds.ts';
import { markdownTable, showNumber, showSpread } from './markdown.ts';
import { median, ratioOf, spreadOf } from './statistics.ts';

const header = ['server', 'requests/s', 'of the limit', 'CPU µs a request', 'limit / CPU', 'core', 'p50 ms', 'p99 ms'];

/** Medians of the rounds with minimum and maximum, and the ratios to the baseline within each round. */
export function comparisonTable(samples: ReadonlyMap<string, readonly Sample[]>): string {
  const limit = samples.get(limitName) ?? [];
  const rows = [...samples].map(([name, own]) => {
    const all = columnsOf(own);
    const middle = (values: readonly number[], digits: number) => showNumber(median(values), digits);
    return [
      name,
      ...costCells(own, limit, ratioOf(columnsOf(limit).cpu, all.cpu)),
      all.busy.includes(undefined)
        ? '–'
        : `${middle(
            all.busy.map((share = 0) => share * 100),
            0,
          )}%`,
      middle(all.p50, 2),
      middle(all.p99, 2),
    ];
  });
  return markdownTable(header, rows);
}

const columnsOf = (samples: readonly Sample[]) => ({
  rates: samples.map(({ perSecond }) => perSecond),
  cpu: samples.map(({ cpuMicros }) => cpuMicros),
  busy: samples.map(({ busy }) => busy),
  p50: samples.map(({ p50Ms }) => p50Ms),
  p99: samples.map(({ p99Ms }) => p99Ms),
});

/** Requests a second and CPU time, each with its ratio to a base. */
function costCells(own: readonly Sample[], base: readonly Sample[], cpuRatio: number | undefined): readonly string[] {
  const { rates, cpu } = columnsOf(own);
  const known = cpu.flatMap((micros) => micros ?? []);
  return [
    showSpread(spreadOf(rates)),
    showNumber(ratioOf(rates, columnsOf(base).rates), 2),
    known.length === 0 ? '–' : showSpread(spreadOf(known), 1),
    showNumber(cpuRatio, 2),
  ];
}

/** Compares servers of several sizes with the first. */
export function sizesTable(
  what: string,
  sizes: readonly Readonly<{ size: number; samples: readonly Sample[]; megabytes: number | undefined }>[],
): string {
  const first = sizes[0]?.samples ?? [];
  const rows = sizes.map(({ size, samples, megabytes }) => [
    showNumber(size),
    ...costCells(samples, first, ratioOf(columnsOf(samples).cpu, columnsOf(first).cpu)),
    showNumber(megabytes),
  ]);
  return markdownTable([what, 'requests/s', 'of the first', 'CPU µs a request', 'CPU / first', 'resident MB'], rows);
}
