import { readFileSync } from 'node:fs';
import { Pool } from 'undici';
import { quantile } from '../results/statistics.ts';

/*
 * Sends the requests in a file in rotation, and prints a line of JSON. With a rate, it never waits for a response, and
 * opens another connection when all are in use: a slow response delays no later request, so the percentiles have no
 * coordinated omission. Without a rate, each connection sends its next request after a response.
 */

const [origin = '', requestsFile = '', seconds, kind, value] = process.argv.slice(2);
const requests = readFileSync(requestsFile, 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => {
    const [path = '', token] = line.split(' ');
    return { path, method: 'GET' as const, headers: ['authorization', `Bearer ${token}`] };
  });
const pool = new Pool(origin, { pipelining: 1, headersTimeout: 10_000 });
const latencies: number[] = [];
const startedAt = performance.now();
const elapsed = () => (performance.now() - startedAt) / 1000;
let [sent, refused, broken] = [0, 0, 0];

function send(done: () => void): void {
  const request = requests[sent % requests.length];
  sent += 1;
  if (request === undefined) return;
  const sentAt = performance.now();
  const finish = () => {
    latencies.push(performance.now() - sentAt);
    done();
  };
  pool.dispatch(request, {
    onRequestStart() {},
    onResponseStart(_controller, status) {
      if (status >= 400) refused += 1;
    },
    onResponseData() {},
    onResponseEnd: finish,
    onResponseError() {
      broken += 1;
      finish();
    },
  });
}

function print(): void {
  const [p50Ms, p99Ms] = [quantile(latencies, 0.5), quantile(latencies, 0.99)];
  const result = { requests: latencies.length, seconds: elapsed(), refused, broken, p50Ms, p99Ms };
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit());
}

if (kind === 'rate') {
  const total = Number(value) * Number(seconds);
  const timer = setInterval(() => {
    while (sent < Math.min(total, elapsed() * Number(value))) send(() => latencies.length === total && print());
    if (sent >= total) clearInterval(timer);
  }, 1);
} else {
  let open = Number(value);
  const next = (): void => {
    if (elapsed() < Number(seconds)) send(next);
    else {
      open -= 1;
      if (open === 0) print();
    }
  };
  for (let index = 0; index < Number(value); index += 1) next();
}
