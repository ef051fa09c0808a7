import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually, throwAwayRedis } from '@countersign/testing';
import { logIn } from '../e2e/client.ts';
import { type GatewayYaml, makePlace, startEverything, writeGatewayConfig } from '../e2e/stack.ts';
import { steadyLoad } from '../fleet/steady-load.ts';

// `npm run bench:faults`: what clients experience while a part of `npm start` fails, and how long refusals continue
// after it recovers. Needs DATABASE_URL. It starts its own Redis; a proxy in front of Postgres simulates an outage.

const { DATABASE_URL: databaseUrl, RATE = '50', FAULT_SECONDS = '10', ONLY } = process.env;
if (!databaseUrl) throw new Error('DATABASE_URL must name a PostgreSQL server to run on');
const faultMs = Number(FAULT_SECONDS) * 1000;

const redis = await throwAwayRedis();
const postgres = await stoppable(new URL(databaseUrl));
const place = await makePlace({ databaseUrl: postgres.url, redisUrl: redis.url });
// One user sends all requests, which route limits would otherwise refuse.
const config = writeGatewayConfig(place, 'without-limits.yaml', ({ routes }) => withoutLimits(routes));
const stack = await startEverything(place, { LOG_LEVEL: 'warn', GATEWAY_CONFIG: config });
const gateway = `http://127.0.0.1:${place.ports.gateway}`;

function withoutLimits(routes: GatewayYaml['routes']): void {
  for (const route of routes) {
    delete route.limits;
    if (route.routes !== undefined) withoutLimits(route.routes);
  }
}

const signal = (name: string, kind: NodeJS.Signals) => process.kill(pidOf(name), kind);

/**
 * A part that fails and recovers: `end` ends the failure, or `npm start` restarts the part, and `ready` resolves when
 * it can serve.
 */
type Fault = Readonly<{ name: string; begin(): unknown } & ({ end(): unknown } | { ready: string })>;
const readyOf = (port: number) => `http://127.0.0.1:${port}/readyz`;
const faults: readonly Fault[] = [
  {
    name: 'complaint-service is killed',
    begin: () => signal('complaint-service', 'SIGKILL'),
    ready: readyOf(place.ports.complaints),
  },
  {
    name: 'complaint-service is stopped by SIGTERM',
    begin: () => signal('complaint-service', 'SIGTERM'),
    ready: readyOf(place.ports.complaints),
  },
  {
    name: 'complaint-service hangs',
    begin: () => signal('complaint-service', 'SIGSTOP'),
    end: () => signal('complaint-service', 'SIGCONT'),
  },
  { name: 'auth-service is killed', begin: () => signal('auth-service', 'SIGKILL'), ready: readyOf(place.ports.auth) },
  { name: 'the gateway is killed', begin: () => signal('gateway', 'SIGKILL'), ready: readyOf(place.ports.admin) },
  { name: 'Redis is killed and comes back empty', begin: () => redis.kill(), end: () => redis.start() },
  {
    name: 'Redis hangs',
    begin: () => process.kill(redis.pid(), 'SIGSTOP'),
    end: () => process.kill(redis.pid(), 'SIGCONT'),
  },
  { name: 'Postgres hangs', begin: () => postgres.hang(), end: () => postgres.goOn() },
];

try {
  const { token } = await logIn(gateway, 'agent@acme.test');
  for (const fault of faults) if (ONLY === undefined || fault.name.includes(ONLY)) await measure(fault, token);
} finally {
  await stack.stop();
  await place.remove();
  postgres.close();
  await redis.kill();
}

async function measure(fault: Fault, token: string): Promise<void> {
  const headers = { authorization: `Bearer ${token}` };
  await eventually(async () => {
    const { status } = await fetch(`${gateway}/v1/complaints?limit=1`, { headers });
    if (status !== 200) throw new Error(`status ${status}`);
  });
  const load = steadyLoad(Number(RATE), async () => {
    try {
      const response = await fetch(`${gateway}/v1/complaints?limit=1`, {
        headers,
        signal: AbortSignal.timeout(40_000),
      });
      if (response.ok) await response.arrayBuffer();
      return response.ok ? '200' : `${response.status} ${((await response.json()) as { code: string }).code}`;
    } catch (error) {
      const { cause, name: kind } = error as Error & { cause?: { code?: string } };
      return cause?.code ?? kind;
    }
  });
  await delay(2_000);
  const beganMs = load.nowMs();
  await fault.begin();
  if ('end' in fault) {
    await delay(faultMs);
    await fault.end();
  } else await readyAgain(fault.ready);
  const backMs = load.nowMs();
  // A part that recovers by itself counts as recovered after five seconds without a refusal.
  const wellForMs = 5_000;
  for (;;) {
    await delay(200);
    const refused = load.outcomes.filter(({ result }) => result !== '200');
    const lastMs = Math.max(backMs, ...refused.map(({ sentMs }) => sentMs));
    if (load.nowMs() - lastMs > wellForMs) break;
  }
  await load.stop();
  const during = load.outcomes.filter(({ endedMs }) => endedMs >= beganMs);
  const counts = Map.groupBy(during, ({ result }) => result);
  const refused = during.filter(({ result }) => result !== '200');
  const last = Math.max(0, ...refused.map(({ sentMs }) => sentMs));
  const slowest = Math.max(...during.map(({ sentMs, endedMs }) => endedMs - sentMs));
  const shown = [...counts].map(([result, all]) => `${all.length} × ${result}`).join(', ');
  const lasted = seconds(backMs - beganMs);
  const after = refused.length === 0 ? 'none refused' : `the last one ${seconds(last - backMs)} after it recovered`;
  process.stdout.write(`${fault.name} for ${lasted}: ${shown}; ${after}; slowest ${seconds(slowest)}
`);
}

/** Waits until the part is gone, then until it is ready. */
async function readyAgain(url: string): Promise<void> {
  const isReady = async () => (await fetch(url).catch(() => undefined))?.status === 200;
  while (await isReady()) await delay(5);
  while (!(await isReady())) await delay(20);
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

/** The process that `npm start` runs for this part. */
function pidOf(name: string): number {
  const lines = execFileSync('ps', ['-o', 'pid=,args=', '--ppid', String(stack.pid)])
    .toString()
    .split('\n');
  const line = lines.find((text) => text.includes(`${name}/src/main.ts`));
  if (line === undefined) throw new Error(`${name} is not running`);
  return Number.parseInt(line, 10);
}

/** A proxy in front of a server. It can stop forwarding without closing connections, like a host that lost power. */
async function stoppable(target: URL) {
  const sockets = new Set<Socket>();
  let isHanging = false;
  const proxy = createServer((client) => {
    const server = connect(Number(target.port || 5432), target.hostname);
    const forward = (from: Socket, to: Socket) => {
      sockets.add(from);
      from.on('data', (chunk) => void to.write(chunk)).on('error', () => to.destroy());
      from.on('close', () => sockets.delete(from) && to.destroy());
      if (isHanging) from.pause();
    };
    forward(client, server);
    forward(server, client);
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const url = new URL(target);
  url.host = `127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const setHanging = (value: boolean) => {
    isHanging = value;
    for (const socket of sockets) value ? socket.pause() : socket.resume();
  };
  return {
    url: url.href,
    hang: () => setHanging(true),
    goOn: () => setHanging(false),
    close() {
      for (const socket of sockets) socket.destroy();
      proxy.close();
    },
  };
}
