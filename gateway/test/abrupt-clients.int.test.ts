import { once } from 'node:events';
import { connect } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { eventually } from '@countersign/testing';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';

let gateway: GatewayUnderTest;
beforeAll(async () => {
  gateway = await gatewayUnderTest({});
});
afterAll(() => gateway.close());

const host = 'Host: gateway.test\r\n';
const socket = `${host}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n`;
const open = `GET /v1/open/1 HTTP/1.1\r\n${host}\r\n`;

// Without a listener, a reset would be an uncaught exception that ends the process, and Jest would fail the suite.
test.each([
  ['CONNECT', `CONNECT a:1 HTTP/1.1\r\n${host}\r\n`],
  ['CONNECT behind another request', `${open}CONNECT a:1 HTTP/1.1\r\n${host}\r\n`],
  ['a refused WebSocket', `GET /v1/socket HTTP/1.1\r\n${socket}\r\n`],
  ['a WebSocket behind another request', `${open}GET /v1/socket HTTP/1.1\r\n${socket}\r\n`],
  ['a WebSocket with two spaces in its request line', `GET  /v1/socket HTTP/1.1\r\n${socket}\r\n`],
  ['a WebSocket with a bad chunk', `GET /v1/socket HTTP/1.1\r\n${socket}Transfer-Encoding: chunked\r\n\r\nzz\r\n`],
  ['a WebSocket with a part of a body', `${open}GET /v1/socket HTTP/1.1\r\n${socket}Content-Length: 9\r\n\r\nab`],
])('continues to serve after a client sends %s and resets the connection', async (_name, bytes) => {
  for (let turns = 0; turns < 12; turns += 1) {
    const client = connect(gateway.port, '127.0.0.1').on('error', () => {});
    await once(client, 'connect');
    client.write(bytes);
    for (let turn = 0; turn < turns; turn += 1) await nextTurn();
    client.resetAndDestroy();
  }
  await eventually(async () => {
    expect((await gateway.ask('/v1/open/1')).status).toBe(200);
  });
});
