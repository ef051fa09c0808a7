import { fork } from 'node:child_process';
import { once } from 'node:events';
import { Agent, createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express, { type RequestHandler } from 'express';
import { createProxyMiddleware } from 'http-proxy-middleware';
import { Pool } from 'undici';

// `npm run bench:forwarders`: measures the cost of a pass-through with each forwarder (docs/decisions/0002). Forwarder, upstream
// and load each run in a separate process, on loopback. Compare the ratios; absolute numbers depend on the machine.

const connections = 64;
const secondsEach = Number(process.env.SECONDS ?? 5);

/** Passes a GET through, headers unchanged in both directions, without identity or limits. */
const forwarders: Record<string, (origin: string) => RequestHandler> = {
  undici(origin) {
    const pool = new Pool(origin, { connections, pipelining: 1 });
    return (req, res) => {
      pool.dispatch(
        { path: req.originalUrl, method: 'GET', headers: req.rawHeaders },
        {
          onRequestStart() {},
          onResponseStart(_controller, status, headers) {
            res.writeHead(status, headers);
          },
          onResponseData(_controller, chunk) {
            res.write(chunk);
          },
          onResponseEnd() {
            res.end();
          },
          onResponseError() {
            res.destroy();
          },
        },
      );
    };
  },
  'node:http'(origin) {
    const agent = new Agent({ keepAlive: true, maxSockets: connections });
    return (req, res) => {
      const upstream = request(origin + req.originalUrl, { agent, headers: req.headers }, (answer) => {
        res.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(res);
      });
      upstream.on('error', () => res.destroy());
      upstream.end();
    };
  },
  'http-proxy-middleware': (origin) =>
    createProxyMiddleware({ target: origin, agent: new Agent({ keepAlive: true, maxSockets: connections }) }),
};

async function listening(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function child(...args: string[]): Promise<{ origin: string; end: () => void }> {
  const started = fork(import.meta.filename, args, { execArgv: ['--conditions=source'] });
  const [origin] = await once(started, 'message');
  return { origin: String(origin), end: () => void started.kill() };
}

/** @returns Requests a second over `connections` keep-alive connections, one at a time on each. */
async function load(origin: string, seconds: number): Promise<number> {
  const pool = new Pool(origin, { connections, pipelining: 1 });
  const deadline = performance.now() + seconds * 1_000;
  let answered = 0;
  const client = async () => {
    while (performance.now() < deadline) {
      const { statusCode, body } = await pool.request({ path: '/hello', method: 'GET' });
      await body.dump();
      if (statusCode !== 200) throw new Error(`answered ${statusCode}`);
      answered += 1;
    }
  };
  await Promise.all(Array.from({ length: connections }, client));
  await pool.close();
  return answered / seconds;
}

async function compare(): Promise<void> {
  const upstream = await child('upstream');
  const rates = new Map<string, number>();
  for (const name of Object.keys(forwarders)) {
    const forwarder = await child('forward', name, upstream.origin);
    await load(forwarder.origin, 1);
    rates.set(name, await load(forwarder.origin, secondsEach));
    forwarder.end();
  }
  upstream.end();
  const slowest = Math.min(...rates.values());
  for (const [name, rate] of rates) {
    process.stdout.write(
      `${name.padEnd(24)} ${Math.round(rate).toString().padStart(7)} requests/s  ${(rate / slowest).toFixed(1)}\n`,
    );
  }
}

const [role, name = '', origin = ''] = process.argv.slice(2);
if (role === 'upstream') {
  process.send?.(await listening(createServer((_req, res) => res.end('hello'))));
} else if (role === 'forward') {
  const forwarder = forwarders[name];
  if (forwarder === undefined) throw new Error(`no forwarder ${name}`);
  const app = express();
  app.use(forwarder(origin));
  process.send?.(await listening(createServer(app)));
} else {
  await compare();
}
