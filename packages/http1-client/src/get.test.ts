import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { eventually } from '@countersign/testing';
import { afterEach, expect, test } from '@jest/globals';
import { ConnectionPool } from './connection-pool.ts';
import { type GetOptions, get, headerOf } from './get.ts';
import { createSocketOpener } from './open-socket.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

const bodyTimeout = 5_000;

async function poolAt(answer: RequestListener, keepAliveTimeout = 4_000, headersTimeout = 5_000) {
  let connections = 0;
  const server = createServer(answer).on('connection', () => {
    connections += 1;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const opener = createSocketOpener({ origin, connectTimeoutMs: 1_000 });
  const pool = new ConnectionPool(origin, { opener, connections: 4, keepAliveTimeout, headersTimeout, bodyTimeout });
  cleanups.push(() => {
    void pool.destroy();
    server.close();
    server.closeAllConnections();
  });
  return { pool, connections: () => connections };
}

const limits: GetOptions = { maxBodyBytes: 1_000, timeoutMs: 2_000 };

test('gets a whole response with any status, with its headers', async () => {
  const { pool, connections } = await poolAt((req, res) =>
    res.writeHead(503, { 'X-Seen': req.headers.accept }).end('no'),
  );
  for (let count = 0; count < 2; count += 1) {
    const response = await get(pool, '/', { ...limits, headers: ['accept', 'text/plain'] });
    expect([response.status, headerOf(response, 'x-seen'), response.body.toString()]).toEqual([
      503,
      'text/plain',
      'no',
    ]);
  }
  expect(connections()).toBe(1);
});

test('opens a connection for each request if the idle timeout is 0', async () => {
  const seen: unknown[] = [];
  const { pool, connections } = await poolAt((req, res) => {
    seen.push(req.headers.connection);
    res.end('ok');
  }, 0);
  for (let count = 0; count < 3; count += 1) await get(pool, '/', limits);
  expect([connections(), seen, pool.size]).toEqual([3, ['close', 'close', 'close'], 0]);
});

test.each<[name: string, answer: RequestListener, code: string]>([
  ['never begins', () => {}, 'UPSTREAM_HEAD_TIMEOUT'],
  ['never ends', (_req, res) => void res.writeHead(200).write('a'), 'UPSTREAM_BODY_TIMEOUT'],
  ['is too large', (_req, res) => res.end('a'.repeat(1_001)), 'UPSTREAM_RESPONSE_TOO_LARGE'],
  [
    'breaks off',
    (_req, res) => res.writeHead(200, { 'content-length': '5' }).write('a', () => res.destroy()),
    'UPSTREAM_CLOSED',
  ],
])('treats a response that %s as an error, and closes the connection', async (_name, answer, code) => {
  const { pool } = await poolAt(answer);
  await expect(get(pool, '/', { ...limits, timeoutMs: 300 })).rejects.toMatchObject({ code });
  expect(pool.size).toBe(0);
});

test('can truncate a larger body', async () => {
  const { pool } = await poolAt((_req, res) => res.end('a'.repeat(100_000)));
  expect((await get(pool, '/', { ...limits, largerBody: 'cut' })).status).toBe(200);
  expect(pool.size).toBe(0);
});

test('can wait longer for one request than for others in its pool', async () => {
  const { pool } = await poolAt((_req, res) => void setTimeout(() => res.end('late'), 300), 4_000, 100);
  expect((await get(pool, '/', limits)).body.toString()).toBe('late');
});

test("ends the request with the signal's reason", async () => {
  const stop = new AbortController();
  const reason = new Error('not needed any more');
  const { pool } = await poolAt(() => stop.abort(reason));
  const pending = get(pool, '/', { ...limits, signal: stop.signal });
  await expect(pending).rejects.toBe(reason);
  await expect(get(pool, '/', { ...limits, signal: stop.signal })).rejects.toBe(reason);
  expect(pool.size).toBe(0);
});

test('never sends a request that is aborted before it has a connection, and uses that connection for the next one', async () => {
  const seen: unknown[] = [];
  const { pool, connections } = await poolAt((req, res) => {
    seen.push(req.url);
    res.end('ok');
  });
  const stop = new AbortController();
  const pending = get(pool, '/never', { ...limits, signal: stop.signal });
  stop.abort(new Error('not needed any more'));
  await expect(pending).rejects.toBe(stop.signal.reason);
  await eventually(() => expect(pool.idle).toBe(1));
  await get(pool, '/next', limits);
  expect([seen, connections()]).toEqual([['/next'], 1]);
});

test('refuses requests in a closed pool, and closes when the last response has arrived', async () => {
  let finish = () => {};
  let arrived = () => {};
  const hasArrived = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const { pool } = await poolAt((_req, res) => {
    finish = () => void res.end('late');
    arrived();
  });
  const pending = get(pool, '/', limits);
  await hasArrived;
  const closed = pool.close();
  await expect(get(pool, '/', limits)).rejects.toMatchObject({ code: 'UPSTREAM_POOL_CLOSED' });
  finish();
  expect((await pending).body.toString()).toBe('late');
  await closed;
  expect(pool.size).toBe(0);
});
