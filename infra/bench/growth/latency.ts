import { join } from 'node:path';
import { forkPinned } from '../machine/fork-pinned.ts';
import { markdownTable, showNumber, showSpread } from '../results/markdown.ts';
import { spreadOf } from '../results/statistics.ts';
import type { Subject } from '../rounds.ts';

export type Latency = Readonly<{ failed: number; p50Ms: number; p99Ms: number }>;

export type LatencyOptions = Readonly<{
  perSecond: number;
  seconds: number;
  rounds: number;
  cores: string | undefined;
}>;

/**
 * Measures latencies at a constant rate, in interleaved rounds. The first subject is the service itself, so the
 * difference to it is what a gateway adds.
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
  { name, origin, requestsFile }: Omit<Subject, 'pid'>,
  { perSecond, seconds, cores }: LatencyOptions,
): Promise<Latency> {
  const args = [origin, requestsFile, String(perSecond), String(seconds)];
  const client = forkPinned(join(import.meta.dirname, 'latency-client-program.ts'), { args, cores });
  const latency = (await client.message()) as Latency;
  if (latency.failed > 0) throw new Error(`${name}: ${latency.failed} requests failed`);
  return latency;
}

/** @param rounds For each round, the latencies of the subjects in their order. */
export function latencyTable(names: readonly string[], rounds: readonly (readonly Latency[])[]): string {
  const rows = names.map((name, index) => {
    const all = (key: 'p50Ms' | 'p99Ms') => rounds.map((round) => round[index]?.[key] ?? Number.NaN);
    const added = (key: 'p50Ms' | 'p99Ms') =>
      rounds.map((round) => (round[index]?.[key] ?? Number.NaN) - (round[0]?.[key] ?? Number.NaN));
    return [
      name,
      showSpread(spreadOf(all('p50Ms')), 2),
      index === 0 ? showNumber(undefined) : showSpread(spreadOf(added('p50Ms')), 2),
      showSpread(spreadOf(all('p99Ms')), 2),
      index === 0 ? showNumber(undefined) : showSpread(spreadOf(added('p99Ms')), 2),
    ];
  });
  return markdownTable(['server', 'p50 ms', 'added', 'p99 ms', 'added'], rows);
}
