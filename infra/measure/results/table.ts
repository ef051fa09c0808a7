import { markdownTable, showNumber, showSpread } from './markdown.ts';
import { median, ratioOf, spreadOf } from './statistics.ts';

export type Latency = Readonly<{ p50Ms: number; p99Ms: number }>;

/** One server in one round. CPU times are NaN without `/proc`. */
export type Sample = Readonly<{
  perSecond: number;
  /** The server's CPU microseconds per request. */
  cpuMicros: number;
  /** The same for the process that it asks. */
  askedMicros: number;
  /** CPU seconds per second. A value below 1 on a dedicated core means that something else was the bottleneck. */
  busy: number;
  /** Megabytes of memory after the load. */
  residentMb: number;
}> &
  Latency;

type Samples<One> = ReadonlyMap<string, readonly One[]>;

type Column<One> = Readonly<{
  header: string;
  of(sample: One): number;
  /**
   * What a cell shows of the rounds. `ratio` is the median of the ratios to the base within each round, and `added`
   * the spread of the differences from it. Default: the spread.
   */
  shows?: 'median' | 'ratio' | 'added';
  digits?: number;
  unit?: string;
}>;

/**
 * A table with one row for each name.
 *
 * @param base The row that the others are compared with. Default: the first.
 */
function samplesTable<One>(
  first: string,
  samples: Samples<One>,
  columns: readonly Column<One>[],
  base = [...samples.keys()][0] ?? '',
): string {
  const baseSamples = samples.get(base) ?? [];
  const rows = [...samples].map(([name, own]) => [name, ...columns.map((column) => cell(column, own, baseSamples))]);
  return markdownTable([first, ...columns.map(({ header }) => header)], rows);
}

function cell<One>(
  { of, shows, digits = 0, unit = '' }: Column<One>,
  own: readonly One[],
  base: readonly One[],
): string {
  const values = own.map(of);
  if (shows === 'ratio') return showNumber(ratioOf(values, base.map(of)), 2);
  if (shows === 'median') return showNumber(median(values), digits, unit);
  if (shows === undefined) return showSpread(spreadOf(values), digits);
  const added = own.map((sample, round) => of(sample) - of(base[round] ?? sample));
  return own === base ? '–' : showSpread(spreadOf(added), digits);
}

const rate: Column<Sample> = { header: 'requests/s', of: ({ perSecond }) => perSecond };
const cpu: Column<Sample> = { header: 'CPU µs a request', of: ({ cpuMicros }) => cpuMicros, digits: 1 };
const p50: Column<Latency> = { header: 'p50 ms', of: ({ p50Ms }) => p50Ms, digits: 2 };
const p99: Column<Latency> = { header: 'p99 ms', of: ({ p99Ms }) => p99Ms, digits: 2 };

/** The name of the baseline server. */
export const limitName = 'limit';

export const comparisonTable = (samples: Samples<Sample>): string =>
  samplesTable(
    'server',
    samples,
    [
      rate,
      { ...rate, header: 'of the limit', shows: 'ratio' },
      cpu,
      { header: 'limit / CPU', of: ({ cpuMicros }) => 1 / cpuMicros, shows: 'ratio' },
      { header: 'core', of: ({ busy }) => busy * 100, shows: 'median', unit: '%' },
      { ...p50, shows: 'median' },
      { ...p99, shows: 'median' },
    ],
    limitName,
  );

/** Compares servers of several sizes with the first. */
export const sizesTable = (what: string, samples: Samples<Sample>): string =>
  samplesTable(what, samples, [
    rate,
    { ...rate, header: 'of the first', shows: 'ratio' },
    cpu,
    { ...cpu, header: 'CPU / first', shows: 'ratio' },
    { header: 'resident MB', of: ({ residentMb }) => residentMb, shows: 'median' },
  ]);

/** CPU time of a proxy and of the server that it asks, which `of the first` compares with the first row's. */
export const decisionTable = (samples: Samples<Sample>): string => {
  const asked: Column<Sample> = { header: 'CPU µs: asked', of: ({ askedMicros }) => askedMicros, digits: 1 };
  const both = ({ cpuMicros, askedMicros }: Sample) => cpuMicros + (askedMicros || 0);
  return samplesTable('', samples, [
    rate,
    { ...cpu, header: 'CPU µs: proxy' },
    asked,
    { header: 'both', of: both, digits: 1 },
    { ...asked, header: 'of the first', shows: 'ratio' },
    { ...p50, shows: 'median' },
    { ...p99, shows: 'median' },
  ]);
};

/**
 * CPU time of a gateway or proxy and of the services behind it, compared with the first row's. The slowest row comes
 * first.
 */
export const wholeTable = (samples: Samples<Sample>): string => {
  const both = ({ cpuMicros, askedMicros }: Sample) => cpuMicros + askedMicros;
  const medianOf = (own: readonly Sample[]) => median(own.map(both));
  return samplesTable(
    '',
    new Map([...samples].sort(([, a], [, b]) => medianOf(b) - medianOf(a))),
    [
      { ...cpu, header: 'CPU µs: gateway or proxy' },
      { header: 'CPU µs: services', of: ({ askedMicros }) => askedMicros, digits: 1 },
      { header: 'both', of: both, digits: 1 },
      { header: 'of jose', of: both, shows: 'ratio' },
    ],
    [...samples.keys()][0],
  );
};

/** Latencies, and what each server adds to the first within a round. */
export const latencyTable = (samples: Samples<Latency>): string =>
  samplesTable('server', samples, [
    p50,
    { ...p50, header: 'added', shows: 'added' },
    p99,
    { ...p99, header: 'added', shows: 'added' },
  ]);

/** Latencies of the same requests, beside others. */
export const besideTable = (samples: Samples<Latency>): string =>
  samplesTable('beside', samples, [p50, p99, { ...p99, header: 'of the first', shows: 'ratio' }]);

/** CPU microseconds of a part in one round: of a request, and of a decision for a proxy. */
export type PartSample = Readonly<{ request: number; decision: number }>;

export const partsTable = (samples: Samples<PartSample>): string =>
  samplesTable('part', samples, [
    { header: cpu.header, of: ({ request }) => request, digits: 1 },
    { header: 'of a decision', of: ({ decision }) => decision, digits: 1 },
  ]);
