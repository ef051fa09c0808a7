import type { LoadGenerator } from './load/load.ts';
import type { Cores } from './machine/cores.ts';
import { cpuMicrosOf } from './machine/process-usage.ts';

/** A server that runs, and what to send to it. */
export type Subject = Readonly<{
  name: string;
  pid: number;
  /** The process that this server asks about each request. Also measured. */
  asks?: number;
  origin: string;
  requestsFile: string;
}>;

/** One server in one round. */
export type Sample = Readonly<{
  perSecond: number;
  /** The server's CPU microseconds per request. Undefined without `/proc`. */
  cpuMicros: number | undefined;
  /** The same for the process that it asks. */
  askedMicros: number | undefined;
  /** CPU seconds per second. A value below 1 on a dedicated core means that something else was the bottleneck. */
  busy: number | undefined;
  p50Ms: number;
  p99Ms: number;
}>;

export type RoundOptions = Readonly<{
  load: LoadGenerator;
  cores: Cores | undefined;
  connections: number;
  rounds: number;
  seconds: number;
}>;

// Enough for the optimizing compiler to see every function many times, with a time limit for slow servers.
const warmUpRequests = 30_000;
const maxWarmUpRuns = 6;
const warmUpSeconds = 2;

/**
 * Warms up each server, then measures all of them in every round, so that other work on this machine affects them
 * equally. Every other round runs in reverse order.
 *
 * @returns Each server's samples by name, in the order of the rounds.
 * @throws Error if a request failed, because the rows would then compare different work.
 */
export async function measureRounds(
  subjects: readonly Subject[],
  options: RoundOptions,
): Promise<Map<string, Sample[]>> {
  const samples = new Map(subjects.map(({ name }): [string, Sample[]] => [name, []]));
  for (const subject of subjects) await warmUp(subject, options);
  for (let round = 0; round < options.rounds; round += 1) {
    for (const subject of round % 2 === 0 ? subjects : subjects.toReversed()) {
      const sample = await measure(subject, options, options.seconds);
      samples.get(subject.name)?.push(sample);
      const cpu = sample.cpuMicros === undefined ? '' : `, ${sample.cpuMicros.toFixed(1)} µs`;
      process.stderr.write(`round ${round + 1}: ${subject.name} ${Math.round(sample.perSecond)}/s${cpu}\n`);
    }
  }
  return samples;
}

/** Sends requests until the server runs compiled code. */
export async function warmUp(subject: Subject, options: Omit<RoundOptions, 'rounds'>): Promise<void> {
  process.stderr.write(`warming up ${subject.name}\n`);
  const seconds = Math.min(warmUpSeconds, options.seconds);
  const needed = warmUpRequests * (seconds / warmUpSeconds);
  for (let run = 0, sent = 0; run < maxWarmUpRuns && sent < needed; run += 1) {
    sent += (await measure(subject, options, seconds)).perSecond * seconds;
  }
}

async function measure(subject: Subject, options: Omit<RoundOptions, 'rounds'>, seconds: number): Promise<Sample> {
  const { name, pid, asks, origin, requestsFile } = subject;
  const { load, connections, cores } = options;
  const usedBy = (process: number | undefined) => (process === undefined ? undefined : cpuMicrosOf(process));
  const [before, askedBefore] = [usedBy(pid), usedBy(asks)];
  const startedAt = performance.now();
  const result = await load.run({ origin, requestsFile, pace: { connections }, seconds, cores: cores?.load });
  const tookMs = performance.now() - startedAt;
  const [after, askedAfter] = [usedBy(pid), usedBy(asks)];
  const { requests, refused, broken } = result;
  if (refused + broken > 0 || requests === 0) {
    throw new Error(`${name}: of ${requests} requests, ${refused} were refused and ${broken} got no response`);
  }
  const between = (from: number | undefined, to: number | undefined) =>
    from === undefined || to === undefined ? undefined : to - from;
  const cpuMicros = between(before, after);
  const askedMicros = between(askedBefore, askedAfter);
  return {
    perSecond: requests / result.seconds,
    cpuMicros: cpuMicros && cpuMicros / requests,
    askedMicros: askedMicros && askedMicros / requests,
    busy: cpuMicros && cpuMicros / 1_000 / tookMs,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
  };
}
