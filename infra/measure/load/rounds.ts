import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { Cores } from '../machine/cores.ts';
import { findCores } from '../machine/cores.ts';
import { cpuMicrosOf, residentBytesOf } from '../machine/process-usage.ts';
import { replaceBetween, wrapLines } from '../results/markdown.ts';
import type { Latency, Sample } from '../results/table.ts';
import { nodeOf } from '../site/gateway.ts';
import { openSite } from '../site/site.ts';

/** A server that runs, and what to send to it. */
export type Subject = Readonly<{
  name: string;
  pid: number;
  /** The processes that this server asks or forwards to. Also measured. */
  asks?: readonly number[];
  origin: string;
  requestsFile: string;
}>;

/** The conditions of a benchmark, and the servers that it needs. */
export type Bench = Awaited<ReturnType<typeof openBench>>;

const connections = 64;
const page = resolve(import.meta.dirname, '../../../docs/benchmarks.md');

async function openBench(options: Readonly<{ rounds: string; seconds: string; gateways: readonly string[] }>) {
  const cores = findCores();
  const load = findLoadGenerator();
  const machine = describeMachine(cores, load.name, options.gateways);
  const site = await openSite(cores?.load);
  const [rounds, seconds] = [Number(options.rounds), Number(options.seconds)];
  const conditions = `${connections} connections, ${site.tokens.length} tokens in rotation, ${rounds} rounds of ${seconds} s.`;
  return { site, cores, load, machine, conditions, rounds, seconds };
}

/** Every result of this run, for infra/measure/results/. */
const raw: ReadonlyMap<string, unknown>[] = [];

/**
 * Opens a site, measures, and prints the result. With `write`, puts it between the marks of docs/benchmarks.md, and the
 * results of each round into a file beside `results/table.ts`.
 */
export async function runBench(
  mark: string,
  options: Parameters<typeof openBench>[0] & Readonly<{ write: boolean }>,
  measure: (bench: Bench) => Promise<readonly string[]>,
): Promise<void> {
  const bench = await openBench(options);
  try {
    const parts = await measure(bench);
    const text = parts.map((part) => (part.startsWith('|') ? part : wrapLines(part))).join('\n\n');
    process.stdout.write(`${text}\n`);
    if (!options.write) return;
    writeFileSync(page, replaceBetween(readFileSync(page, 'utf8'), mark, text));
    const results = raw.map((one) => Object.fromEntries(one));
    writeFileSync(
      join(import.meta.dirname, `../results/${mark}.json`),
      `${JSON.stringify({ machine: bench.machine, results })}\n`,
    );
  } finally {
    await bench.site.close();
  }
}

/**
 * Measures all subjects in every round, so that other work on this machine affects them equally. Every other round
 * runs in reverse order.
 *
 * @returns Each subject's results by name, in the order of the rounds.
 */
export async function inRounds<One extends Readonly<{ name: string }>, Result>(
  subjects: readonly One[],
  rounds: number,
  measure: (subject: One) => Promise<Result>,
): Promise<Map<string, Result[]>> {
  const results = new Map(subjects.map(({ name }): [string, Result[]] => [name, []]));
  raw.push(results);
  for (let round = 0; round < rounds; round += 1) {
    for (const subject of round % 2 === 0 ? subjects : subjects.toReversed()) {
      process.stderr.write(`round ${round + 1}: ${subject.name}\n`);
      results.get(subject.name)?.push(await measure(subject));
    }
  }
  return results;
}

/** Warms up each server, then measures all of them in rounds. */
export async function measureRounds(subjects: readonly Subject[], bench: Bench): Promise<Map<string, Sample[]>> {
  for (const subject of subjects) await warmUp(subject, bench);
  return inRounds(subjects, bench.rounds, (subject) => measure(subject, bench));
}

// V8 compiles the gateway for that long: its CPU time halves until then. With a time limit for slow servers.
const warmUpRequests = 100_000;
const maxWarmUpRuns = 6;
const warmUpSeconds = 2;

/** Sends requests until the server runs compiled code. */
export async function warmUp(subject: Subject, bench: Bench): Promise<void> {
  process.stderr.write(`warming up ${subject.name}\n`);
  const seconds = Math.min(warmUpSeconds, bench.seconds);
  const needed = warmUpRequests * (seconds / warmUpSeconds);
  for (let run = 0, sent = 0; run < maxWarmUpRuns && sent < needed; run += 1) {
    sent += (await measure(subject, { ...bench, seconds })).perSecond * seconds;
  }
}

/** @throws Error if a request failed, because the rows would then compare different work. */
export async function measure(subject: Subject, { load, cores, seconds }: Bench): Promise<Sample> {
  const { name, pid, asks, origin, requestsFile } = subject;
  const cpuBefore = [cpuMicrosOf(pid), cpuMicrosOfAll(asks)] as const;
  const startedAt = performance.now();
  const result = await load.run({ origin, requestsFile, pace: { connections }, seconds, cores: cores?.load });
  const tookMs = performance.now() - startedAt;
  const cpuMicros = cpuMicrosOf(pid) - cpuBefore[0];
  const askedMicros = cpuMicrosOfAll(asks) - cpuBefore[1];
  const { requests, p50Ms, p99Ms } = expectSuccess(name, result);
  return {
    perSecond: requests / result.seconds,
    cpuMicros: cpuMicros / requests,
    askedMicros: askedMicros / requests,
    busy: cpuMicros / 1_000 / tookMs,
    residentMb: residentBytesOf(pid) / 1_000_000,
    p50Ms,
    p99Ms,
  };
}

const cpuMicrosOfAll = (pids: readonly number[] = []) =>
  pids.reduce((total, pid) => total + cpuMicrosOf(pid), pids.length === 0 ? Number.NaN : 0);

function expectSuccess(name: string, result: LoadResult): LoadResult {
  const { requests, refused, broken } = result;
  if (refused + broken === 0 && requests > 0) return result;
  throw new Error(`${name}: of ${requests} requests, ${refused} were refused and ${broken} got no response`);
}

/** Measures latencies at a constant rate. Also sends for two seconds before it measures. */
export async function measureAtRate(
  subject: Omit<Subject, 'pid'>,
  { perSecond, seconds, bench }: Readonly<{ perSecond: number; seconds: number; bench: Bench }>,
): Promise<Latency> {
  const options = { ...subject, pace: { perSecond }, seconds, cores: bench.cores?.load };
  return expectSuccess(subject.name, await runLoadProgram(options));
}

/** One sentence about where and when this was measured. */
function describeMachine(cores: Cores | undefined, load: string, gateways: readonly string[]): string {
  const date = new Date().toISOString().slice(0, 10);
  const [busyFor1min = 0] = loadavg();
  const pinned =
    cores === undefined
      ? 'Nothing is pinned.'
      : `The server has core ${cores.server}; the upstream and the load have core ${cores.load}.`;
  const versions = gateways.map((folder) => {
    const node = execFileSync(nodeOf(folder), ['--version'], { encoding: 'utf8' }).trim();
    return `gateway ${commitOf(folder)} on Node ${node}`;
  });
  return (
    `${date}: ${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} cores, load average ${busyFor1min.toFixed(1)} ` +
    `at the start. ${versions.join(', ')}. ${pinned} Load: ${load}.`
  );
}

function commitOf(folder: string): string {
  try {
    const describe = ['describe', '--always', '--dirty'];
    return execFileSync('git', describe, { cwd: resolve(folder), encoding: 'utf8', stdio: 'pipe' }).trim();
  } catch {
    return 'without a commit';
  }
}

type LoadOptions = Readonly<{
  origin: string;
  /** A file with a path and an access token on each line, which are sent in rotation. */
  requestsFile: string;
  seconds: number;
  /** Either how many connections send as fast as responses arrive, or how many requests to send per second. */
  pace: Readonly<{ connections: number; perSecond?: never } | { connections?: never; perSecond: number }>;
  /** Cores as `taskset -c` accepts them. Undefined if not pinned. */
  cores: string | undefined;
}>;

type LoadResult = Readonly<{
  requests: number;
  seconds: number;
  /** Responses except 2xx and 3xx. */
  refused: number;
  /** Requests without a response, because the connection failed or 10 s passed. */
  broken: number;
  p50Ms: number;
  p99Ms: number;
}>;

const run = promisify(execFile);
const fileBeside = (name: string) => join(import.meta.dirname, name);

/** Uses wrk if it is installed. Otherwise uses our program on undici, which needs several times as much CPU. */
function findLoadGenerator() {
  const { error, stdout } = spawnSync('wrk', ['-v'], { encoding: 'utf8' });
  if (error !== undefined) return { name: 'undici', run: runLoadProgram };
  return { name: /^wrk \S+/.exec(stdout)?.[0] ?? 'wrk', run: runWrk };
}

/** Uses our program on undici, because wrk cannot send at a constant rate. */
function runLoadProgram({ origin, requestsFile, seconds, pace, cores }: LoadOptions): Promise<LoadResult> {
  const [kind, value] = Object.entries(pace)[0] ?? [];
  const program = [process.execPath, fileBeside('load-program.ts')];
  return execute([...program, origin, requestsFile, `${seconds}`, `${kind}`, `${value}`], cores);
}

function runWrk({ origin, requestsFile, seconds, pace, cores }: LoadOptions): Promise<LoadResult> {
  const options = ['-t1', `-c${pace.connections}`, `-d${seconds}s`, '--timeout', '10s'];
  return execute(['wrk', ...options, '-s', fileBeside('rotate-requests.lua'), origin, '--', requestsFile], cores);
}

async function execute(words: readonly string[], cores: string | undefined): Promise<LoadResult> {
  const [command = '', ...args] = cores === undefined ? words : ['taskset', '-c', cores, ...words];
  const { stdout } = await run(command, args);
  const line = stdout.split('\n').find((text) => text.startsWith('{'));
  if (line === undefined) throw new Error(`${words[0]} printed no result:\n${stdout}`);
  return JSON.parse(line);
}
