import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { eventually, type RecordedRequest, rawRequest } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type GatewayUnderTest, gatewayUnderTest, parseAnswer } from './gateway-under-test.ts';

const big = Buffer.alloc(4 * 1024 * 1024, 'x');

describe.each(['own', 'undici'])("a service's response, read by the client `%s`,", (httpClient) => {
  let gateway: GatewayUnderTest;
  let token: string;
  const open = new Map<string, ServerResponse>();
  const closed: string[] = [];

  function answer(request: RecordedRequest, res: ServerResponse): void {
    const path = request.target.slice('/v1/things/'.length);
    res.once('close', () => closed.push(path));
    switch (path) {
      case 'big':
        res.end(big);
        break;
      case 'slow-reader':
        res.write(big);
        open.set(path, res);
        break;
      case 'half':
        res.writeHead(200, { 'content-length': '100' });
        res.write('half of it', () => res.destroy());
        break;
      case 'half-chunked':
        res.write('half of it', () => setImmediate(() => res.destroy()));
        break;
      case 'events':
        res.writeHead(200, { 'content-type': 'text/event-stream' });
        res.write('data: 1\n\n');
        open.set(path, res);
        break;
      case 'hang':
        open.set(path, res);
        break;
      case 'stall':
        res.write('begun');
        break;
      case 'hints':
        res.writeEarlyHints({ link: '</a.css>; rel=preload' });
        res.end('after hints');
        break;
      case '204':
        res.writeHead(204, { etag: '"1"' }).end();
        break;
      case '304':
        res.writeHead(304, { etag: '"1"' }).end();
        break;
      case 'length':
        res.writeHead(200, { 'content-length': '5' }).end(request.method === 'HEAD' ? undefined : 'abcde');
        break;
      case 'trailers':
        res.writeHead(200, { trailer: 'X-Sum' });
        res.write('body');
        res.addTrailers({ 'X-Sum': '1' });
        res.end();
        break;
      default:
        res.writeHead(418, { etag: '"v1"', 'cache-control': 'max-age=1' }).end('teapot');
    }
  }

  beforeAll(async () => {
    gateway = await gatewayUnderTest({
      upstream: { answer },
      edits: [['version: 1', `version: 1\nhttpClient: ${httpClient}`]],
    });
    token = await gateway.issuer.accessToken();
  });
  afterAll(() => gateway.close());

  const request = (path: string, method = 'GET') =>
    `${method} /v1/things/${path} HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`;
  const get = (path: string, method?: string) => gateway.raw(request(path, method));
  async function begin(path: string): Promise<Socket> {
    const socket = connect(gateway.port, '127.0.0.1');
    socket.on('error', () => socket.destroy());
    await once(socket, 'connect');
    socket.write(request(path));
    return socket;
  }

  test('reaches the client unchanged', async () => {
    const { status, headers, body } = await get('anything');
    expect([status, headers.etag, headers['cache-control'], body]).toEqual([418, '"v1"', 'max-age=1', 'teapot']);
    expect(headers['x-frame-options']).toBeUndefined();
  });

  test.each([
    ['204', 'GET', 204, ''],
    ['304', 'GET', 304, ''],
    ['length', 'HEAD', 200, ''],
    ['length', 'GET', 200, 'abcde'],
  ])('of %s to %s has the body that HTTP allows', async (path, method, status, body) => {
    const answered = await get(path, method);
    expect([answered.status, answered.body]).toEqual([status, body]);
    if (path === 'length') expect(answered.headers['content-length']).toBe('5');
  });

  test('reaches the client after early hints', async () => {
    const { status, body } = await get('hints');
    expect(status).toBe(200);
    expect(body).toContain('after hints');
  });

  test('reaches the client without trailers', async () => {
    const { text } = await get('trailers');
    expect(text).toContain('body');
    expect(text).not.toMatch(/x-sum/i);
  });

  test('may be large', async () => {
    expect((await gateway.ask('/v1/things/big', { token })).body.byteLength).toBe(big.length);
  });

  test.each(['half', 'half-chunked'])('never looks complete when the service breaks it off: %s', async (path) => {
    const text = await rawRequest(gateway.port, request(path));
    expect(text).toContain('half of it');
    expect(text).not.toMatch(/0\r\n\r\n$/);
    const { headers, body } = parseAnswer(text);
    if (headers['content-length'] !== undefined) expect(body.length).toBeLessThan(Number(headers['content-length']));
  });

  test('reaches the client event by event, and ends when the client leaves', async () => {
    const socket = await begin('events');
    const [first] = (await once(socket, 'data')) as [Buffer];
    expect(first.toString()).toContain('200 OK');
    await eventually(() => expect(open.has('events')).toBe(true));
    open.get('events')?.write('data: 2\n\n');
    let text = first.toString();
    socket.on('data', (chunk) => {
      text += chunk;
    });
    await eventually(() => expect(text).toContain('data: 2'));
    socket.destroy();
    await eventually(() => expect(closed).toContain('events'));
  });

  test('is abandoned when the client leaves', async () => {
    const socket = await begin('hang');
    await eventually(() => expect(open.has('hang')).toBe(true));
    socket.destroy();
    await eventually(() => expect(closed).toContain('hang'));
  });

  test('that does not come in time is 504', async () => {
    const { status, code } = await get('hang');
    expect([status, code]).toEqual([504, 'upstream_timeout']);
  });

  test('that stops in the middle is broken off after the idle time', async () => {
    const text = await rawRequest(gateway.port, request('stall'));
    expect(text).toContain('begun');
    expect(text).not.toMatch(/0\r\n\r\n$/);
  });

  test('waits while the client does not read, and is dropped when it never does', async () => {
    const socket = await begin('slow-reader');
    socket.pause();
    await eventually(() => expect(closed).toContain('slow-reader'));
    socket.destroy();
  });
});
