import { readFileSync } from 'node:fs';
import { Pool } from 'undici';
import { quantile } from '../results/statistics.ts';

/*
 * Sends requests at a constant rate, and never waits for a response: a slow response delays no later request, so the
 * percentiles have no coordinated omission. Opens another connection when all are in use.
 */

const [origin = '', requestsFile = '', perSecond, seconds] = process.argv.slice(2);
const requests = readFileSync(requestsFile, 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => {
    const [path = '', token] = line.split(' ');
    return { path, method: 'GET' as const, headers: ['authorization', `Bearer ${token}`] };
  });
const total = Number(perSecond) * Number(seconds);
const pool = new Pool(origin, { pipelining: 1 });
const latencies: number[] = [];
let failed = 0;
let sent = 0;

function send(): void {
  const request = requests[sent % requests.length];
  sent += 1;
  if (request === undefined) return;
  const sentAt = performance.now();
  let isOk = false;
  pool.dispatch(request, {
    onRequestStart() {},
    onResponseStart(_controller, status) {
      isOk = status === 200;
    },
    onResponseData() {},
    onResponseEnd: () => finish(performance.now() - sentAt, isOk),
    onResponseError: () => finish(performance.now() - sentAt, false),
  });
}

function finish(latencyMs: number, isOk: boolean): void {
  latencies.push(latencyMs);
  if (!isOk) failed += 1;
  if (latencies.length < total) return;
  const result = { failed, p50Ms: quantile(latencies, 0.5), p99Ms: quantile(latencies, 0.99) };
  process.send?.(result, () => process.exit());
}

const startedAt = performance.now();
const timer = setInterval(() => {
  const due = Math.min(total, ((performance.now() - startedAt) / 1000) * Number(perSecond));
  while (sent < due) send();
  if (sent >= total) clearInterval(timer);
}, 1);
