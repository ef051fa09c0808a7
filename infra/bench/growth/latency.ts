import { type LoadResult, runLoadProgram } from '../load/load.ts';
import { markdownTable, showNumber, showSpread } from '../results/markdown.ts';
import { spreadOf } from '../results/statistics.ts';
import type { Subject } from '../rounds.ts';

export type Latency = Pick<LoadResult, 'p50Ms' | 'p99Ms'>;

export type LatencyOptions = Readonly<{
  perSecond: number;
  seconds: number;
  rounds: number;
  cores: string | undefined;
}>;

/**
 * Measures latencies at a constant rate, in interleaved rounds. The first subject is the service itself, so the
 * difference is the latency that a gateway adds.
 */
export async function measureLatency(
  subjects: readonly Omit<Subject, 'pid'>[],
  options: LatencyOptions,
): Promise<string> {
  const rounds: (readonly Latency[])[] = [];
  for (let round = 0; round < options.rounds; round += 1) {
    process.stderr.write(`latency, round ${round + 1}\n`);
    const latencies: Latency[] = [];
    for (const subject of subjects) latencies.push(await sendAtRate(subject, options));
    rounds.push(latencies);
  }
  return latencyTable(
    subjects.map(({ name }) => name),
    rounds,
  );
}

async function sendAtRate(
  { name, ...subject }: Omit<Subject, 'pid'>,
  { perSecond, ...options }: LatencyOptions,
): Promise<Latency> {
  const { refused, broken, ...latency } = await runLoadProgram({ ...subject, ...options, pace: { perSecond } });
  if (refused + broken > 0) throw new Error(`${name}: ${refused + broken} requests failed`);
  return latency;
}

/** @param rounds For each round, the latencies of the subjects in their order. */
export function latencyTable(names: readonly string[], rounds: readonly (readonly Latency[])[]): string {
  const rows = names.map((name, index) => {
    const cells = (['p50Ms', 'p99Ms'] as const).flatMap((key) => {
      const of = (subject: number) => rounds.map((round) => round[subject]?.[key] ?? Number.NaN);
      const added = of(index).map((ms, round) => ms - (of(0)[round] ?? Number.NaN));
      return [showSpread(spreadOf(of(index)), 2), index === 0 ? showNumber(undefined) : showSpread(spreadOf(added), 2)];
    });
    return [name, ...cells];
  });
  return markdownTable(['server', 'p50 ms', 'added', 'p99 ms', 'added'], rows);
}
