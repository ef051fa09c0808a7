import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'undici';
import { steadyLoad } from '../../stacks/steady-load.ts';
import { quantile } from '../results/statistics.ts';

/*
 * Sends the requests in a file in rotation, and prints a line of JSON. With a rate, it never waits for a response, and
 * opens another connection when all are in use: a slow response delays no later request, so the percentiles have no
 * coordinated omission. With a number of connections, each sends its next request after a response.
 */

// Not measured, because this program's own work delays requests by up to 20 ms until V8 has compiled it.
const warmUpMs = 2_000;

const [origin = '', requestsFile = '', seconds, pace, value] = process.argv.slice(2);
const forMs = Number(seconds) * 1_000;
const requests = readFileSync(requestsFile, 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => {
    const [path = '', token] = line.split(' ');
    return { path, method: 'GET' as const, headers: { authorization: `Bearer ${token}` } };
  });
const pool = new Pool(origin, { pipelining: 1, headersTimeout: 10_000 });
const count = { refused: 0, broken: 0 };
let sent = 0;

async function ask(): Promise<void> {
  const request = requests[sent++ % requests.length];
  try {
    const { statusCode, body } = await pool.request(request ?? { path: '/', method: 'GET' });
    await body.dump();
    if (statusCode >= 400) count.refused += 1;
  } catch {
    count.broken += 1;
  }
}

async function atRate(perSecond: number): Promise<number[]> {
  const load = steadyLoad(perSecond, ask);
  await delay(warmUpMs + forMs);
  await load.stop();
  return load.outcomes.filter(({ sentMs }) => sentMs >= warmUpMs).map(({ sentMs, endedMs }) => endedMs - sentMs);
}

async function overConnections(connections: number): Promise<number[]> {
  const latencies: number[] = [];
  const untilMs = performance.now() + forMs;
  const repeat = async () => {
    for (let nowMs = performance.now(); nowMs < untilMs; ) {
      const sentMs = nowMs;
      await ask();
      nowMs = performance.now();
      latencies.push(nowMs - sentMs);
    }
  };
  await Promise.all(Array.from({ length: connections }, repeat));
  return latencies;
}

const startedMs = performance.now();
const latencies = await (pace === 'perSecond' ? atRate : overConnections)(Number(value));
const tookMs = performance.now() - startedMs - (pace === 'perSecond' ? warmUpMs : 0);
await pool.close();
const [p50Ms, p99Ms] = [quantile(latencies, 0.5), quantile(latencies, 0.99)];
const result = { requests: latencies.length, seconds: tookMs / 1_000, ...count, p50Ms, p99Ms };
process.stdout.write(`${JSON.stringify(result)}\n`);
