import { readFileSync } from 'node:fs';
import autocannon from 'autocannon';

// A process of its own: it must not share a core with the server. Prints one line of JSON.

const [origin = '', requestsFile = '', connections, seconds] = process.argv.slice(2);
const requests = readFileSync(requestsFile, 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => {
    const [path = '', token = ''] = line.split(' ');
    return { path, headers: { authorization: `Bearer ${token}` } };
  });
const result = await autocannon({ url: origin, connections: Number(connections), duration: Number(seconds), requests });
process.stdout.write(
  `${JSON.stringify({
    requests: result.requests.total,
    seconds: result.duration,
    refused: result.non2xx,
    broken: result.errors,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
  })}\n`,
);
