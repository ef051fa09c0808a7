import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type GatewayUnderTest, gatewayUnderTest, parseAnswer } from './gateway-under-test.ts';

describe('a slow client', () => {
  let gateway: GatewayUnderTest;
  let token: string;
  beforeAll(async () => {
    gateway = await gatewayUnderTest({
      edits: [['response: 2s, idle: 2s', 'response: 2s, idle: 400ms']],
      listenerTimes: { headMs: 400, keepAliveMs: 400, checkEveryMs: 50 },
    });
    token = await gateway.issuer.accessToken();
  });
  afterAll(() => gateway.close());

  /** Everything received on this connection until the gateway ends it. */
  async function untilClosed(socket: Socket): Promise<string> {
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => {});
    await once(socket, 'close');
    return Buffer.concat(chunks).toString('latin1');
  }
  const open = (bytes = '') => {
    const socket = connect(gateway.port, '127.0.0.1');
    if (bytes !== '') socket.write(bytes);
    return socket;
  };
  /** Writes a few bytes repeatedly until the connection closes. */
  function drip(socket: Socket, piece: string): void {
    const timer = setInterval(() => socket.write(piece), 20);
    socket.once('close', () => clearInterval(timer));
  }
  const head = (method: string, path: string, more: string) =>
    `${method} ${path} HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer ${token}\r\n${more}\r\n`;

  test.each([
    ['that sends nothing', '', ''],
    ['that drips its request line', 'GET /v1/things/', 'a'],
    ['that drips its headers', 'GET /v1/things/1 HTTP/1.1\r\nHost: gateway.test\r\n', 'X-A: b\r\n'],
    ['that drips empty lines', '\r\n', '\r\n'],
  ])('%s is answered 408, and its connection closed', async (_name, first, more) => {
    const before = gateway.upstream.requests.length;
    const socket = open(first);
    if (more !== '') drip(socket, more);
    const answer = parseAnswer(await untilClosed(socket));
    expect([answer.status, answer.code, answer.headers.connection]).toEqual([408, 'request_timeout', 'close']);
    expect(gateway.upstream.requests.length).toBe(before);
  });

  test('that drips its second request is answered 408 after the first answer', async () => {
    const socket = open(head('GET', '/v1/things/1', ''));
    await once(socket, 'data');
    socket.write('GET /v1/th');
    drip(socket, 'i');
    expect(parseAnswer(await untilClosed(socket)).status).toBe(408);
  });

  test('that pauses between two requests finds the connection closed', async () => {
    const answers = await untilClosed(open(head('GET', '/v1/things/1', '')));
    expect(answers.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200']);
  });

  test('that stops in a streamed body is answered 408, and the request to the service ends', async () => {
    const socket = open(`${head('POST', '/v1/upload', 'Content-Length: 100\r\n')}half of it`);
    const answer = parseAnswer(await untilClosed(socket));
    expect([answer.status, answer.code]).toEqual([408, 'request_timeout']);
  });

  test('that drips its body does not delay others', async () => {
    const slow = Array.from({ length: 50 }, () => open(`${head('POST', '/v1/things', 'Content-Length: 100\r\n')}a`));
    for (let count = 0; count < 20; count += 1) {
      expect((await gateway.ask('/v1/things/1', { token })).status).toBe(200);
    }
    for (const socket of slow) socket.destroy();
  });
});
