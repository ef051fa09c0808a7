import { readdirSync, readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { eventually, type RecordedRequest } from '@countersign/testing';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Pool } from 'undici';
import { type GatewayProcess, gatewayProcess } from './gateway-process.ts';

const impatient = fileURLToPath(new URL('./impatient-gateway.ts', import.meta.url));
// 50 complete answers in memory would be 400 MiB. The kernel buffers up to 4 MiB of each on either side of the gateway. With many more, it
// runs out of TCP memory, drops packets, and retransmits after seconds.
const big = Buffer.alloc(8 * 1024 * 1024);

const answer = ({ target }: RecordedRequest, res: ServerResponse) =>
  void res.end(target === '/v1/open/big' ? big : '{}');

let place: GatewayProcess;
beforeEach(async () => {
  place = await gatewayProcess({ upstream: { answer }, program: impatient });
  place.write(
    place.yaml
      .replace(`targets: ["${place.upstream.url}"]`, `targets: ["${place.upstream.url}"], timeouts: { idle: 2s }`)
      .replace(
        'routes:\n',
        'routes:\n  - { name: upload, path: /v1/upload, methods: [POST], upstream: things, auth: public, body: { mode: stream } }\n',
      ),
  );
});
afterEach(() => place.close());

test('a thousand slow sockets do not delay a good client, are ended by timers, and leak nothing', async () => {
  const gateway = await place.start();
  const { port } = new URL(place.url);
  const openFiles = () => readdirSync(`/proc/${gateway.pid}/fd`).length;
  const residentKb = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${gateway.pid}/status`, 'utf8'))?.[1]);
  const good = new Pool(place.url, { connections: 10, pipelining: 1 });
  const headers = { authorization: `Bearer ${await place.issuer.accessToken()}` };

  /** Sends 200 requests in half a second. @returns The median latency in milliseconds. */
  async function median(): Promise<number> {
    const times = await Promise.all(
      Array.from({ length: 200 }, async (_, index) => {
        await delay(index * 2.5);
        const sentAt = performance.now();
        const { statusCode, body } = await good.request({ path: '/v1/things/1', method: 'GET', headers });
        await body.dump();
        expect(statusCode).toBe(200);
        return performance.now() - sentAt;
      }),
    );
    return times.sort((a, b) => a - b)[100] ?? Number.NaN;
  }

  await median();
  const alone = Math.min(await median(), await median());
  const before = { files: openFiles(), kb: residentKb() };

  const kinds: readonly (readonly [kind: string, count: number, bytes: string])[] = [
    ['silent', 300, ''],
    ['half a head', 325, 'GET /v1/open/1 HTTP/1.1\r\nHost: a.test\r\nX-Slow: '],
    ['half a stream', 325, 'POST /v1/upload HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000\r\n\r\nhalf'],
    ['an answer that is not read', 50, 'GET /v1/open/big HTTP/1.1\r\nHost: a.test\r\n\r\n'],
  ];
  const sockets: Socket[] = [];
  let closed = 0;
  for (const [kind, count, bytes] of kinds) {
    for (let opened = 0; opened < count; opened += 1) {
      const socket = connect(Number(port), '127.0.0.1');
      socket
        .on('error', () => {})
        .once('close', () => {
          closed += 1;
        });
      socket.write(bytes);
      // Paused before the first byte is read, so that the answer only fills the buffers in between.
      if (kind.startsWith('an answer')) socket.pause();
      else socket.resume();
      sockets.push(socket);
    }
  }
  await eventually(() => expect(openFiles()).toBeGreaterThan(before.files + 900));
  // Compares the best median of several half seconds. This excludes the work of accepting a thousand connections, and the slowest
  // requests, which depend on other processes.
  const bound = 2 * alone + 5;
  let beside = Number.POSITIVE_INFINITY;
  for (let windows = 0; windows < 6 && beside > bound; windows += 1) beside = await median();
  expect(beside).toBeLessThan(bound);

  await eventually(() => expect(openFiles()).toBeLessThan(before.files + 20), 20_000);
  expect(residentKb() - before.kb).toBeLessThan(256 * 1024);
  // A paused socket notices its end only when it is read.
  for (const socket of sockets) socket.resume();
  await eventually(() => expect(closed).toBe(sockets.length), 20_000);
  await good.close();
});
