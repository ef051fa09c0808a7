import { readFileSync } from 'node:fs';
import { Pool } from 'undici';
import { quantile } from '../results/statistics.ts';

/*
 * Sends the requests in a file in rotation, and prints a line of JSON. With a rate, it never waits for a response, and
 * opens another connection when all are in use: a slow response delays no later request, so the percentiles have no
 * coordinated omission. Without a rate, each connection sends its next request after a response.
 */

// Not measured, because this program's own work delays requests by up to 20 ms until V8 has compiled it.
const warmUpSeconds = 2;

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
const measuredFrom = startedAt + (kind === 'rate' ? warmUpSeconds * 1_000 : 0);
const secondsSince = (time: number) => (performance.now() - time) / 1_000;
let [sent, over, refused, broken] = [0, 0, 0, 0];

function send(done: () => void): void {
  const request = requests[sent % requests.length];
  sent += 1;
  if (request === undefined) return;
  const sentAt = performance.now();
  const finish = () => {
    over += 1;
    if (sentAt >= measuredFrom) latencies.push(performance.now() - sentAt);
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
  const result = { requests: latencies.length, seconds: secondsSince(measuredFrom), refused, broken, p50Ms, p99Ms };
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit());
}

if (kind === 'rate') {
  const rate = Number(value);
  const total = rate * (warmUpSeconds + Number(seconds));
  const timer = setInterval(() => {
    while (sent < Math.min(total, secondsSince(startedAt) * rate)) send(() => over === total && print());
    if (sent >= total) clearInterval(timer);
  }, 1);
} else {
  let open = Number(value);
  const next = (): void => {
    if (secondsSince(startedAt) < Number(seconds)) send(next);
    else {
      open -= 1;
      if (open === 0) print();
    }
  };
  for (let index = 0; index < Number(value); index += 1) next();
}
