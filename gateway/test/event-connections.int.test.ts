import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { eventually, type ThrowAwayRedis, throwAwayRedis } from '@countersign/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type EventGateway, type EventWorld, eventWorld } from './event-gateway.ts';

const accepted = [
  'HTTP/1.1 101 Switching Protocols',
  'Connection: Upgrade',
  'Upgrade: websocket',
  // For the key in RFC 6455 section 1.3.
  'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
];

/** A long exchange with the service, as its client sees it. */
type Exchange = Readonly<{ state(): string; close(): void }>;

describe('an event that arrives at one of two gateways', () => {
  let redis: ThrowAwayRedis;
  let world: EventWorld;
  /** WebSockets that are open at the service. */
  let sockets: Set<Duplex>;
  let open: Exchange[];
  beforeAll(async () => {
    redis = await throwAwayRedis();
  });
  afterAll(() => redis.kill());
  beforeEach(async () => {
    sockets = new Set();
    open = [];
    world = await eventWorld(Date.now, {
      answer: (_request, response) =>
        response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n'),
      upgrade(_request, socket) {
        sockets.add(socket);
        socket.resume().once('end', () => socket.end());
        socket.once('close', () => sockets.delete(socket));
        socket.write(`${accepted.join('\r\n')}\r\n\r\n`);
      },
    });
  });
  afterEach(async () => {
    for (const { close } of open) close();
    await world.close();
  });

  const request = (gateway: EventGateway, token: string, path: string, headers = {}, method = 'GET') =>
    httpRequest({
      port: gateway.running.ports.public,
      path,
      method,
      headers: { ...headers, authorization: `Bearer ${token}` },
    });

  async function webSocket(gateway: EventGateway, token: string): Promise<Exchange> {
    const key = { 'sec-websocket-version': '13', 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' };
    const asked = request(gateway, token, '/socket', { connection: 'Upgrade', upgrade: 'websocket', ...key }).end();
    const [, socket] = (await once(asked, 'upgrade')) as [IncomingMessage, Socket];
    return until(socket.resume(), () => socket.destroy());
  }

  async function stream(gateway: EventGateway, token: string): Promise<Exchange> {
    const [response] = (await once(request(gateway, token, '/things/1').end(), 'response')) as [IncomingMessage];
    await once(response, 'data');
    return until(response, () => response.destroy());
  }

  async function upload(gateway: EventGateway, token: string): Promise<Exchange> {
    const before = world.upstream.underWay();
    const asked = request(gateway, token, '/upload', { 'content-length': 1_000 }, 'POST');
    let state = 'open';
    asked.on('error', () => {});
    asked.once('response', ({ statusCode }: IncomingMessage) => {
      state = String(statusCode);
    });
    asked.write('half');
    await eventually(() => expect(world.upstream.underWay()).toBe(before + 1));
    return { state: () => state, close: () => asked.destroy() };
  }

  function until(stream: Duplex | IncomingMessage, close: () => void): Exchange {
    let state = 'open';
    stream.on('error', () => {});
    stream.once('close', () => {
      state = 'cut';
    });
    return { state: () => state, close };
  }

  async function openAll(gateway: EventGateway, token: string): Promise<readonly Exchange[]> {
    const all: Exchange[] = [];
    for (const how of [webSocket, stream, upload]) all.push(await how(gateway, token));
    open.push(...all);
    return all;
  }

  test.each([
    ['a logout token', async (at: EventGateway) => (await at.logOut(await world.logoutToken())).status],
    ['a pushed event', async (at: EventGateway) => (await at.push(await world.signal())).status],
  ])("%s ends WebSockets, streams and uploads at both within a second, and no other user's", async (_name, send) => {
    const a = await world.start({ journal: 'a', redis: redis.url });
    const b = await world.start({ journal: 'b', redis: redis.url });
    const [ended, other] = [await world.token(), await world.token({ sub: 'u-2', sid: 's-2' })];
    const mine = [...(await openAll(a, ended)), ...(await openAll(b, ended))];
    const others = [...(await openAll(a, other)), ...(await openAll(b, other))];
    expect([...mine, ...others].map(({ state }) => state())).toEqual(Array.from({ length: 12 }, () => 'open'));
    expect([sockets.size, world.upstream.underWay()]).toEqual([4, 8]);
    const status = await send(a);
    const sinceMs = performance.now();
    expect([200, 202]).toContain(status);
    const ends = ['cut', 'cut', '401'];
    await eventually(() => expect(mine.map(({ state }) => state())).toEqual([...ends, ...ends]));
    expect(performance.now() - sinceMs).toBeLessThan(1_000);
    // The service sees the end too.
    await eventually(() => expect([sockets.size, world.upstream.underWay()]).toEqual([2, 4]));
    expect(new Set(others.map(({ state }) => state()))).toEqual(new Set(['open']));
  });
});
