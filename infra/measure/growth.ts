import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Bench, inRounds, measureAtRate, measureRounds, runBench, type Subject, warmUp } from './load/rounds.ts';
import { residentBytesOf } from './machine/process-usage.ts';
import { markdownTable, showNumber } from './results/markdown.ts';
import { besideTable, latencyTable, sizesTable } from './results/table.ts';
import { benchPath, type GatewayOptions, ownGateway, pathOfRoute, signatures, startGateway } from './site/gateway.ts';

/*
 * `npm run bench:growth`: measures how size affects the gateway, and how much latency the gateway adds at a moderate
 * rate (docs/benchmarks.md). Takes about fifteen minutes.
 *
 *   --rounds N           rounds; default 5
 *   --seconds S          seconds for each gateway in a round; default 3
 *   --only NAME,…        routes, revocations, workers, idle, latency, burst; default: all
 *   --algorithm NAME     how the gateway signs; default hmac-sha256, the cheapest
 *   --gateway FOLDER     the folder `gateway/` of a checkout; default: this one's
 *   --write              write the result into docs/benchmarks.md
 */

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    only: { type: 'string', default: '' },
    algorithm: { type: 'string', default: 'hmac-sha256' },
    gateway: { type: 'string', default: ownGateway },
    write: { type: 'boolean', default: false },
  },
});
const { algorithm, gateway: folder } = values;

type Part = (bench: Bench) => Promise<readonly string[]>;

const parts: Readonly<Record<string, Part>> = {
  routes: sizes('routes', [10, 100, 1_000, 10_000], (size, { site }) => {
    // One of them is the usual route. Requests are distributed over the others.
    const moreRoutes = size - 1;
    const paths = site.tokens.map((_, index) => pathOfRoute(Math.floor((index * moreRoutes) / site.tokens.length)));
    return { moreRoutes, paths };
  }),
  revocations: sizes('revocations', [0, 1_000, 100_000, 1_000_000], (size) => ({ revocations: size })),
  async workers(bench) {
    const cores = bench.cores?.twoServers;
    const note =
      cores === undefined
        ? 'This machine has no two free cores: both workers share the cores with the upstream and the load.'
        : `The workers have cores ${cores}.`;
    return [note, ...(await sizes('workers', [1, 2], (size) => ({ workers: size, cores }))(bench))];
  },
  async idle(bench) {
    const gateway = await start('with idle connections', {}, bench);
    return [await measureIdle(gateway)];
  },
  async latency(bench) {
    const perSecond = 500;
    const tables = [];
    for (const algorithm of Object.keys(signatures)) {
      const gateway = await start(`gateway-${algorithm}`, { algorithm }, bench);
      const service = { ...gateway, name: 'the service itself', origin: bench.site.upstreamOrigin };
      await warmUp(gateway, bench);
      const options = { perSecond, seconds: bench.seconds * 2, bench };
      const samples = await inRounds([service, gateway], bench.rounds, (subject) => measureAtRate(subject, options));
      tables.push(latencyTable(samples));
      await bench.site.stopServers();
    }
    return [`At ${perSecond} requests a second:`, ...tables];
  },
  /** What callers with known tokens notice of 10,000 new tokens within 10 seconds. */
  async burst(bench) {
    const newTokens = bench.site.writeRequests('new-tokens', [benchPath], await bench.site.mint(10_000));
    const knownTokens = bench.site.writeRequests('known-tokens', [benchPath]);
    const others = [
      { name: 'nothing' },
      { name: '1,000 requests/s, known tokens', requestsFile: knownTokens },
      { name: '1,000 requests/s, new tokens', requestsFile: newTokens },
    ];
    const samples = await inRounds(others, bench.rounds, async ({ requestsFile }) => {
      // A new process, so that no token of the burst is known.
      const gateway = await start('burst', {}, bench);
      await warmUp(gateway, bench);
      const [latency] = await Promise.all([
        measureAtRate(gateway, { perSecond: 500, seconds: 8, bench }),
        requestsFile && measureAtRate({ ...gateway, requestsFile }, { perSecond: 1_000, seconds: 8, bench }),
      ]);
      await bench.site.stopServers();
      return latency;
    });
    return ['500 requests a second with known tokens, for 10 seconds:', besideTable(samples)];
  },
};

type Changed = Partial<GatewayOptions> & Readonly<{ paths?: readonly string[] }>;

async function start(name: string, { paths = [benchPath], ...changed }: Changed, bench: Bench): Promise<Subject> {
  process.stderr.write(`starting ${name}\n`);
  const usual = { folder, algorithm, cores: bench.cores?.server };
  const requestsFile = bench.site.writeRequests(`requests-${name}`, paths);
  return { ...(await startGateway(bench.site, { ...usual, ...changed })), name, requestsFile };
}

/** Measures gateways of several sizes in interleaved rounds, and compares them with the first one. */
function sizes(what: string, all: readonly number[], changedBy: (size: number, bench: Bench) => Changed): Part {
  return async (bench) => {
    const subjects: Subject[] = [];
    for (const size of all) subjects.push(await start(showNumber(size), changedBy(size, bench), bench));
    return [sizesTable(what, await measureRounds(subjects, bench))];
  };
}

/** Measures the memory of a gateway with 10,000 open connections, each of which has sent one request. */
async function measureIdle({ pid, origin, requestsFile }: Subject): Promise<string> {
  const connections = 10_000;
  const openedAtOnce = 100;
  const settleMs = 5_000;
  process.stderr.write(`opening ${connections} connections\n`);
  const before = residentBytesOf(pid);
  const requests = readFileSync(requestsFile, 'utf8').trimEnd().split('\n');
  const sockets: Socket[] = [];
  const openNext = async (): Promise<void> => {
    while (sockets.length < connections) {
      const socket = connect({ port: Number(new URL(origin).port), host: '127.0.0.1' });
      const [path, token] = (requests[sockets.push(socket) % requests.length] ?? '').split(' ');
      socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\n\r\n`);
      const [response] = await once(socket, 'data');
      if (!String(response).startsWith('HTTP/1.1 200 ')) throw new Error(`unexpected response: ${response}`);
    }
  };
  await Promise.all(Array.from({ length: openedAtOnce }, openNext));
  await delay(settleMs);
  const isOpen = sockets.filter(({ readyState }) => readyState === 'open').length;
  if (isOpen !== connections) throw new Error(`only ${isOpen} of ${connections} connections are open`);
  const after = residentBytesOf(pid);
  for (const socket of sockets) socket.destroy();
  const megabytes = [before, after].map((bytes) => showNumber(bytes / 1_000_000));
  return markdownTable(
    ['idle connections', 'resident MB before', 'resident MB', 'KB a connection'],
    [[showNumber(connections), ...megabytes, showNumber((after - before) / 1_000 / connections, 1)]],
  );
}

const names = values.only === '' ? Object.keys(parts) : values.only.split(',');
const unknown = names.filter((name) => parts[name] === undefined);
if (unknown.length > 0) throw new Error(`unknown: ${unknown.join(', ')}; known: ${Object.keys(parts).join(', ')}`);
await runBench('growth', { ...values, gateways: [folder] }, async (bench) => {
  const { machine, rounds, seconds, site } = bench;
  const shown = [`${machine} Signature: ${algorithm}. ${rounds} rounds of ${seconds} s.`];
  for (const name of names) {
    shown.push(...((await parts[name]?.(bench)) ?? []));
    await site.stopServers();
  }
  return shown;
});
