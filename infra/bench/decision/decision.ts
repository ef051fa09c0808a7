import { measureLatency } from '../growth/latency.ts';
import { markdownTable, showNumber, showSpread } from '../results/markdown.ts';
import { median, ratioOf, spreadOf } from '../results/statistics.ts';
import type { RoundOptions, Sample } from '../rounds.ts';
import { measureRounds, type Subject } from '../rounds.ts';
import { limitOfDecision } from './contenders.ts';

const perSecond = 500;

/** Measures CPU and throughput in interleaved rounds, then latencies at a constant rate. Returns tables and notes. */
export async function measureDecision(subjects: readonly Subject[], options: RoundOptions): Promise<string[]> {
  const samples = await measureRounds(subjects, options);
  const { rounds, seconds, cores } = options;
  const latency = await measureLatency(subjects, { perSecond, rounds, seconds, cores: cores?.load });
  return [decisionTable(samples), `At ${perSecond} requests a second, \`added\` to the first row:`, latency];
}

const header = ['', 'requests/s', 'CPU µs: proxy', 'CPU µs: asked', 'both', 'of the first', 'p50 ms', 'p99 ms'];

/**
 * CPU microseconds per request of each process. `of the first` compares the servers that nginx asks, round by round.
 */
export function decisionTable(samples: ReadonlyMap<string, readonly Sample[]>): string {
  const asked = (name: string) => (samples.get(name) ?? []).map(({ askedMicros }) => askedMicros);
  const rows = [...samples].map(([name, own]) => {
    const spread = (values: readonly (number | undefined)[], digits: number) => {
      const known = values.flatMap((value) => value ?? []);
      return known.length === 0 ? showNumber(undefined) : showSpread(spreadOf(known), digits);
    };
    const ofProxy = own.map(({ cpuMicros }) => cpuMicros);
    return [
      name,
      spread(
        own.map(({ perSecond: rate }) => rate),
        0,
      ),
      spread(ofProxy, 1),
      spread(asked(name), 1),
      spread(
        own.map(({ cpuMicros, askedMicros = 0 }) => cpuMicros && cpuMicros + askedMicros),
        1,
      ),
      showNumber(ratioOf(asked(name), asked(limitOfDecision)), 2),
      showNumber(median(own.map(({ p50Ms }) => p50Ms)), 2),
      showNumber(median(own.map(({ p99Ms }) => p99Ms)), 2),
    ];
  });
  return markdownTable(header, rows);
}
