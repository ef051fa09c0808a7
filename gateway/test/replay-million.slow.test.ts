import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { randomCallers, randomRoutes, recordedRequests, seeded, type Tally, yamlOf } from './kit/recorded-requests.ts';

const requests = Number(process.env.REPLAYED_REQUESTS ?? 1_000_000);
/** How many times the processor time of `JSON.parse` of every line. */
const maxRatio = 8;
const maxResidentMib = 400;

const tally: Tally = { same: 0, changed: 0, unknown: 0, groups: new Map() };
let directory = '';
let log = '';

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'countersign-replay-'));
  log = join(directory, 'gateway.log');
  const random = seeded(3);
  const [old, next] = [randomRoutes(random), randomRoutes(random)];
  writeFileSync(join(directory, 'new.yaml'), yamlOf(next));
  const file = createWriteStream(log);
  let batch = '';
  for (const line of recordedRequests(requests, 3, old, next, randomCallers(5_000, random), tally)) {
    batch += `${line}\n`;
    if (batch.length < 1_000_000) continue;
    if (!file.write(batch)) await once(file, 'drain');
    batch = '';
  }
  file.end(batch);
  await once(file, 'close');
}, 600_000);
afterAll(() => rmSync(directory, { recursive: true }));

/** In seconds. `stat` counts hundredths (proc_pid_stat(5)). */
function cpuSecondsOf(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Runs Node, and watches how much memory and processor time it needs. */
async function run(args: readonly string[]) {
  const startedAt = performance.now();
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let [out, err, residentKib, cpuSeconds] = ['', '', 0, 0];
  child.stdout.on('data', (chunk) => (out += chunk));
  child.stderr.on('data', (chunk) => (err += chunk));
  const watching = setInterval(() => {
    try {
      const [, most] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8')) ?? [];
      residentKib = Number(most ?? residentKib);
      cpuSeconds = cpuSecondsOf(readFileSync(`/proc/${child.pid}/stat`, 'utf8'));
    } catch {
      // The process has ended.
    }
  }, 50);
  const [code] = await once(child, 'close');
  clearInterval(watching);
  return {
    code,
    out,
    err,
    cpuSeconds,
    seconds: (performance.now() - startedAt) / 1000,
    residentMib: Math.round(residentKib / 1024),
  };
}

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const replay = (file: string) =>
  run(['--conditions=source', main, 'replay', file, '--against', join(directory, 'new.yaml'), '--json']);

/** Reads the file as the replay does, and only parses it. */
const parseOnly = `
const decoder = new TextDecoder();
let [rest, micros, count] = ['', 0, 0];
for await (const chunk of require('fs').createReadStream(process.argv[1], { highWaterMark: 1 << 20 })) {
  const lines = (rest + decoder.decode(chunk, { stream: true })).split('\\n');
  rest = lines.pop();
  const before = process.cpuUsage();
  for (const line of lines) count += JSON.parse(line).path.length > 0;
  const { user, system } = process.cpuUsage(before);
  micros += user + system;
}
console.log(JSON.stringify({ cpuSeconds: micros / 1e6, count }));
`;

/** The ratio grows while other work takes the machine's caches, so a round that misses it is repeated, twice at most. */
async function quietestRound(rounds = 3): Promise<Awaited<ReturnType<typeof replay>> & Readonly<{ ratio: number }>> {
  const parsed = JSON.parse((await run(['--input-type=commonjs', '-e', `(async () => {${parseOnly}})()`, log])).out);
  expect(parsed.count).toBe(requests);
  const replayed = await replay(log);
  const ratio = replayed.cpuSeconds / parsed.cpuSeconds;
  process.stderr.write(
    `${requests} lines: ${replayed.seconds.toFixed(1)} s, of which ${replayed.cpuSeconds.toFixed(1)} s of CPU; JSON.parse alone ${parsed.cpuSeconds.toFixed(1)} s of CPU; ratio ${ratio.toFixed(1)}; ${replayed.residentMib} MiB\n`,
  );
  return ratio < maxRatio || rounds === 1 ? { ...replayed, ratio } : quietestRound(rounds - 1);
}

test('replays a million lines with the counts of a brute force, in bounded time and memory', async () => {
  const { code, out, err, residentMib, ratio } = await quietestRound();
  expect([code, err]).toEqual([1, '']);
  const found = JSON.parse(out);
  expect([found.same, found.changed, found.unknown]).toEqual([tally.same, tally.changed, tally.unknown]);
  const groups = found.groups
    .filter(({ access }: Record<string, unknown>) => access !== 'unknown')
    .map(({ requests: count, callers, callers_exact }: Record<string, unknown>) => [count, callers, callers_exact]);
  const expected = [...tally.groups.values()].map(({ requests: count, callers }) => [count, callers.size, true]);
  expect(groups.toSorted()).toEqual(expected.toSorted());
  expect(ratio).toBeLessThan(maxRatio);
  expect(residentMib).toBeLessThan(maxResidentMib);
}, 600_000);

test('replays the same lines from gzip', async () => {
  const lines = readFileSync(log).subarray(0, 50_000_000);
  const whole = lines.subarray(0, lines.lastIndexOf(10) + 1);
  writeFileSync(join(directory, 'a.log'), whole);
  writeFileSync(join(directory, 'b.log'), gzipSync(whole));
  const [plain, gzip] = [await replay(join(directory, 'a.log')), await replay(join(directory, 'b.log'))];
  expect(gzip.out).toBe(plain.out);
  expect(JSON.parse(plain.out).changed).toBeGreaterThan(0);
}, 120_000);
