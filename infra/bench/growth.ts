import { parseArgs } from 'node:util';
import { compareSizes } from './growth/compare-sizes.ts';
import { measureIdle } from './growth/idle-connections.ts';
import { measureLatency } from './growth/latency.ts';
import { findLoadGenerator } from './load/load.ts';
import { findCores } from './machine/cores.ts';
import { describeMachine } from './machine/versions.ts';
import { report } from './results/report.ts';
import { warmUp } from './rounds.ts';
import { benchPath, type GatewayOptions, ownGateway, pathOfRoute, signatures, startGateway } from './site/gateway.ts';
import { openSite } from './site/site.ts';

/*
 * `npm run bench:growth`: measures how size affects the gateway, and how much latency the gateway adds at a moderate
 * rate (docs/benchmarks.md). Takes about eight minutes.
 *
 *   --rounds N           rounds; default 5
 *   --seconds S          seconds for each gateway in a round; default 3
 *   --only NAME,…        routes, revocations, workers, idle, latency; default: all
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
const cores = findCores();
const load = findLoadGenerator();
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
const options = { load, cores, connections: 64, rounds, seconds };
const usual = { folder: values.gateway, algorithm: values.algorithm, cores: cores?.server };

const site = await openSite(cores?.load);
const requestsFile = site.writeRequests('requests', [benchPath]);
const start = (changed: Partial<GatewayOptions>) => startGateway(site, { ...usual, ...changed });

const parts: Readonly<Record<string, () => Promise<readonly string[]>>> = {
  async routes() {
    const sizes = [10, 100, 1_000, 10_000].map((size) => {
      // One of them is the usual route. Requests are distributed over the others.
      const moreRoutes = size - 1;
      const paths = site.tokens.map((_, index) => pathOfRoute(Math.floor((index * moreRoutes) / site.tokens.length)));
      return {
        size,
        requestsFile: site.writeRequests(`requests-${size}`, paths),
        start: () => start({ moreRoutes }),
      };
    });
    return [await compareSizes('routes', sizes, options)];
  },
  async revocations() {
    const sizes = [0, 1_000, 100_000, 1_000_000].map((size) => ({
      size,
      requestsFile,
      start: () => start({ revocations: size }),
    }));
    return [await compareSizes('revocations', sizes, options)];
  },
  async workers() {
    const note =
      cores?.twoServers === undefined
        ? 'This machine has no two free cores: both workers share the cores with the upstream and the load.'
        : `The workers have cores ${cores.twoServers}.`;
    const sizes = [1, 2].map((size) => ({
      size,
      requestsFile,
      start: () => start({ workers: size, cores: cores?.twoServers }),
    }));
    return [note, await compareSizes('workers', sizes, options)];
  },
  async idle() {
    const gateway = await start({});
    try {
      return [await measureIdle(gateway, { connections: 10_000, requestsFile })];
    } finally {
      await gateway.stop();
    }
  },
  async latency() {
    const perSecond = 500;
    const service = { name: 'the service itself', origin: site.upstreamOrigin, requestsFile };
    const tables = [];
    for (const algorithm of Object.keys(signatures)) {
      const gateway = await start({ algorithm });
      try {
        const subject = { ...gateway, name: `gateway-${algorithm}`, requestsFile };
        await warmUp(subject, options);
        const pace = { perSecond, seconds: seconds * 2, rounds, cores: cores?.load };
        tables.push(await measureLatency([service, subject], pace));
      } finally {
        await gateway.stop();
      }
    }
    return [`At ${perSecond} requests a second:`, ...tables];
  },
};

try {
  const names = values.only === '' ? Object.keys(parts) : values.only.split(',');
  const machine = describeMachine({ cores, load: load.name, gateways: [values.gateway] });
  const shown = [`${machine} Signature: ${values.algorithm}. ${rounds} rounds of ${seconds} s.`];
  for (const name of names) {
    const part = parts[name];
    if (part === undefined) throw new Error(`unknown: ${name}; known: ${Object.keys(parts).join(', ')}`);
    shown.push(...(await part()));
  }
  report('growth', shown, values);
} finally {
  await site.close();
}
