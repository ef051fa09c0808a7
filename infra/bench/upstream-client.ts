import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ConnectionPool, createSocketOpener, type Dispatcher, latin1Fields } from '@countersign/http1-client';
import { Pool } from 'undici';

// `npm run bench:client`: CPU per request of a bare forwarder with the gateway's own client, and with undici under the
// same limits. The forwarder has core 0; wrk and the upstream have core 1. Rounds alternate.

const rounds = Number(process.env.ROUNDS ?? 6);
const secondsEach = Number(process.env.SECONDS ?? 4);
const connections = 64;

// About what the gateway adds to a request.
const added = [
  ['x-forwarded-for', '192.0.2.1'],
  ['x-forwarded-proto', 'https'],
  ['x-forwarded-host', 'api.example.test'],
  ['x-request-id', '3f1c1a52-6b5e-4a51-9c4e-0e2e6e1f3a77'],
  ['x-identity', 'user'],
  ['x-identity-audience', 'complaint-service'],
  ['x-user-id', '0190f3a2-7c7e-7cc1-9b0a-0d6a3d8f4e11'],
  ['x-user-role', 'agent'],
  ['x-tenant-id', '0190f3a2-7c7e-7cc1-9b0a-0d6a3d8f4e12'],
  [
    'signature-input',
    'identity=("@method" "@path" "@query" "x-request-id" "x-identity" "x-identity-audience" "x-user-id" "x-user-role" "x-tenant-id");created=1790000000;expires=1790000030;keyid="k1";nonce="Zm9vYmFyYmF6cXV4Zm9v";alg="hmac-sha256"',
  ],
  ['signature', `identity=:${'A'.repeat(43)}=:`],
].flat();
const dropped = new Set(['host', 'connection']);

function outgoing(raw: readonly string[]): string[] {
  const headers: string[] = [];
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] ?? '';
    if (!dropped.has(name.toLowerCase())) headers.push(name, raw[at + 1] ?? '');
  }
  headers.push(...added);
  return headers;
}

const hopByHop = new Set(['connection', 'keep-alive', 'transfer-encoding']);

function passing(raw: readonly string[]): string[] {
  const headers: string[] = [];
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] ?? '';
    if (!hopByHop.has(name.toLowerCase())) headers.push(name, raw[at + 1] ?? '');
  }
  return headers;
}

const limits = { connections: 2_048, headersTimeout: 30_000, bodyTimeout: 60_000, keepAliveTimeout: 4_000 };

const forwarders: Record<string, (origin: string) => RequestListener> = {
  /** Answers by itself, to show what the rest costs. */
  none: () => (req, res) => {
    outgoing(req.rawHeaders);
    res.writeHead(200, passing(['content-type', 'application/json', 'date', 'x', 'content-length', '39']));
    res.end(Buffer.alloc(39, 'a'));
  },
  undici: (origin) => forwardWith(new Pool(origin, { ...limits, pipelining: 1, allowH2: false })),
  client: (origin) =>
    forwardWith(
      new ConnectionPool(origin, { ...limits, opener: createSocketOpener({ origin, connectTimeoutMs: 1_000 }) }),
    ),
};

function forwardWith(dispatcher: Dispatcher): RequestListener {
  return (req, res) => {
    dispatcher.dispatch(
      { path: req.url ?? '/', method: 'GET', headers: outgoing(req.rawHeaders), body: null },
      {
        onRequestStart() {},
        onResponseStart: ({ rawHeaders }, status) => void res.writeHead(status, passing(latin1Fields(rawHeaders))),
        onResponseData: (_controller, chunk) => void res.write(chunk),
        onResponseEnd: () => void res.end(),
        onResponseError: () => void res.destroy(),
      },
    );
  };
}

async function listening(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function child(core: number, ...args: string[]) {
  const started = fork(import.meta.filename, args, { execArgv: ['--conditions=source'] });
  execFileSync('taskset', ['-a', '-p', '-c', String(core), String(started.pid)]);
  const [origin] = await once(started, 'message');
  return {
    origin: String(origin),
    async cpuMicros(): Promise<number> {
      started.send('cpu');
      return Number((await once(started, 'message'))[0]);
    },
    end: () => void started.kill(),
  };
}

/** @returns Requests answered. */
function load(origin: string, seconds: number): number {
  const args = ['-c', '1', 'wrk', '-t1', `-c${connections}`, `-d${seconds}s`, '-H', 'Authorization: Bearer x.y.z'];
  const text = execFileSync('taskset', [...args, `${origin}/v1/things/1?page=2`], { encoding: 'utf8' });
  if (/Non-2xx|Socket errors/.test(text)) throw new Error(text);
  return Number(/(\d+) requests in/.exec(text)?.[1]);
}

const median = (of: readonly number[]): number =>
  [...of].sort((a, b) => a - b)[Math.floor(of.length / 2)] ?? Number.NaN;

async function compare(): Promise<void> {
  const upstream = await child(1, 'upstream');
  const names = Object.keys(forwarders);
  const running = await Promise.all(names.map((name) => child(0, 'forward', name, upstream.origin)));
  const rates: number[][] = names.map(() => []);
  const costs: number[][] = names.map(() => []);
  for (let round = 0; round <= rounds; round += 1) {
    for (const [index, forwarder] of running.entries()) {
      const before = await forwarder.cpuMicros();
      const answered = load(forwarder.origin, round === 0 ? 2 : secondsEach);
      const used = (await forwarder.cpuMicros()) - before;
      // The first round warms up.
      if (round === 0) continue;
      rates[index]?.push(answered / secondsEach);
      costs[index]?.push(used / answered);
    }
  }
  for (const forwarder of running) forwarder.end();
  upstream.end();
  for (const [index, name] of names.entries()) {
    const [rate = [], cost = []] = [rates[index], costs[index]];
    const spread = `${Math.min(...cost).toFixed(1)} to ${Math.max(...cost).toFixed(1)}`;
    process.stdout.write(
      `${name.padEnd(14)} ${Math.round(median(rate))} requests/s, ${median(cost).toFixed(1)} µs CPU a request (${spread})\n`,
    );
  }
}

process.once('disconnect', () => process.exit(0));
const [role, name = '', origin = ''] = process.argv.slice(2);
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send?.(user + system);
});
if (role === 'upstream') {
  process.send?.(
    await listening(
      createServer((_req, res) => {
        res.writeHead(200, { 'content-type': 'application/json', etag: '"abc"', 'cache-control': 'no-store' });
        res.end('{"id":1,"name":"a thing","state":"open"}');
      }),
    ),
  );
} else if (role === 'forward') {
  const forwarder = forwarders[name];
  if (forwarder === undefined) throw new Error(`no forwarder ${name}`);
  process.send?.(await listening(createServer(forwarder(origin))));
} else {
  await compare().catch((error: unknown) => {
    process.stderr.write(`${String(error)}\n`);
    // The children would keep this process alive.
    process.exit(1);
  });
}
