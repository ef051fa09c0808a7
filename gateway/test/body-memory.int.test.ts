import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { eventually } from '@countersign/testing';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type GatewayUnderTest, gatewayUnderTest, parseAnswer } from './gateway-under-test.ts';

const MiB = 1024 * 1024;
const most = Buffer.alloc(MiB - 1, 'x');
const rest = Buffer.alloc(1, 'x');

describe('request bodies in memory', () => {
  let gateway: GatewayUnderTest;
  let clients: Socket[];
  let finish: (() => void)[];
  beforeEach(async () => {
    clients = [];
    finish = [];
    gateway = await gatewayUnderTest({
      upstream: {
        answer: ({ target }, res) => {
          if (target.endsWith('/held')) finish.push(() => void res.end('ok'));
          else res.end('ok');
        },
      },
      edits: [
        ['trustedProxies: []', 'uploads: { maxBuffered: 2MiB, maxBufferedPerAddress: 1MiB }'],
        ['response: 2s, idle: 2s', 'response: 20s, idle: 20s'],
      ],
    });
  });
  afterEach(async () => {
    for (const client of clients) client.destroy();
    await gateway.close();
  });

  /** Sends the beginning of a request from this loopback address. */
  function send(address: string, text: string, ...body: readonly Buffer[]): Socket {
    const client = connect({ port: gateway.port, host: '127.0.0.1', localAddress: address });
    client.on('error', () => client.destroy());
    client.write(`${text}\r\nHost: gateway.test\r\nConnection: close\r\n`);
    for (const part of body) client.write(part);
    clients.push(client);
    return client;
  }
  const post = (address: string, path: string, length: number, ...body: readonly Buffer[]) =>
    send(address, `POST ${path} HTTP/1.1`, Buffer.from(`Content-Length: ${length}\r\n\r\n`), ...body);
  const get = (address: string) => send(address, 'GET /v1/open/1 HTTP/1.1', Buffer.from('\r\n'));
  async function answer(client: Socket) {
    let text = '';
    for await (const chunk of client) text += chunk;
    const { status, code, headers } = parseAnswer(text);
    return { status, code, retryAfter: headers['retry-after'] };
  }
  const held = async () => {
    const text = await (await gateway.admin('/metrics')).text();
    return Number(/^countersign_buffered_body_bytes (\d+)$/m.exec(text)?.[1]);
  };
  const holds = (bytes: number) => eventually(async () => expect(await held()).toBe(bytes));
  const arrived = () => gateway.upstream.requests.length;

  test('from one address are limited with 429, while another address is served', async () => {
    const slow = post('127.0.0.2', '/v1/open/1', MiB, most);
    await holds(MiB);
    expect(await answer(post('127.0.0.2', '/v1/open/1', 100, Buffer.alloc(100)))).toEqual({
      status: 429,
      code: 'rate_limited',
      retryAfter: '1',
    });
    const chunked = send(
      '127.0.0.2',
      'POST /v1/open/1 HTTP/1.1',
      Buffer.from('Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n'),
    );
    expect((await answer(chunked)).status).toBe(429);
    expect(arrived()).toBe(0);
    expect((await answer(get('127.0.0.2'))).status).toBe(200);
    expect((await answer(post('127.0.0.3', '/v1/open/1', MiB, most, rest))).status).toBe(200);
    await holds(MiB);
    expect(arrived()).toBe(2);
    slow.write(rest);
    expect((await answer(slow)).status).toBe(200);
    await holds(0);
  });

  test('from all addresses are limited with 503, while requests without a body are served', async () => {
    const slow = post('127.0.0.2', '/v1/open/1', MiB, most);
    post('127.0.0.3', '/v1/open/1', MiB, most);
    await holds(2 * MiB);
    expect(await answer(post('127.0.0.4', '/v1/open/1', 100, Buffer.alloc(100)))).toEqual({
      status: 503,
      code: 'body_memory_full',
      retryAfter: '1',
    });
    expect(arrived()).toBe(0);
    expect((await answer(get('127.0.0.4'))).status).toBe(200);
    // A client that disconnects frees its memory.
    slow.destroy();
    await holds(MiB);
    expect((await answer(post('127.0.0.4', '/v1/open/1', 100, Buffer.alloc(100)))).status).toBe(200);
  });

  test('count until the response ends, since a retry needs them', async () => {
    const client = post('127.0.0.2', '/v1/open/held', MiB, most, rest);
    await eventually(() => expect(finish).toHaveLength(1));
    expect(await held()).toBe(MiB);
    expect((await answer(post('127.0.0.2', '/v1/open/1', 1, Buffer.alloc(1)))).status).toBe(429);
    finish[0]?.();
    expect((await answer(client)).status).toBe(200);
    await holds(0);
    const left = post('127.0.0.2', '/v1/open/held', MiB, most, rest);
    await eventually(() => expect(finish).toHaveLength(2));
    left.destroy();
    await once(left, 'close');
    await holds(0);
  });

  test('are released when they are too slow, too large or broken', async () => {
    const tooLarge = send('127.0.0.2', 'POST /v1/open/1 HTTP/1.1', Buffer.from('Transfer-Encoding: chunked\r\n\r\n'));
    for (const size of [16, 1024 * 1024]) {
      tooLarge.write(`${size.toString(16)}\r\n`);
      tooLarge.write(Buffer.alloc(size));
      tooLarge.write('\r\n');
    }
    expect(await answer(tooLarge)).toMatchObject({ status: 413 });
    const broken = post('127.0.0.2', '/v1/open/1', 1000, Buffer.alloc(10));
    await holds(10);
    broken.destroy();
    await holds(0);
    expect(arrived()).toBe(0);
  });
});
