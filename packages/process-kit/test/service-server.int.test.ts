import { once } from 'node:events';
import type { Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { rawRequest } from '@countersign/testing';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createServiceServer } from '../src/index.ts';

let server: Server;
let reached: string[];
const port = () => (server.address() as AddressInfo).port;

beforeEach(async () => {
  reached = [];
  server = createServiceServer((req, res) => {
    reached.push(`${req.method} ${req.url}`);
    if (req.url === '/half') res.writeHead(200, { 'content-length': '400' }).write('half');
    else res.writeHead(401).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(async () => {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
});

test.each([
  ['without Host', 'GET /x HTTP/1.1\r\nConnection: close\r\n\r\n'],
  ['with an unknown expectation', 'GET /x HTTP/1.1\r\nHost: h\r\nExpect: wonders\r\nConnection: close\r\n\r\n'],
])('passes a request %s to the app', async (_what, bytes) => {
  expect(await rawRequest(port(), bytes)).toMatch(/^HTTP\/1\.1 401 /);
  expect(reached).toEqual(['GET /x']);
});

test.each([
  ['a malformed request', 'NONSENSE\r\n\r\n', 400, 'invalid_request'],
  [
    'a request whose headers are too large',
    `GET / HTTP/1.1\r\nHost: h\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
    431,
    'headers_too_large',
  ],
])('%s gets a problem response and never reaches the app', async (_what, bytes, status, code) => {
  const [head = '', body = ''] = (await rawRequest(port(), bytes)).split('\r\n\r\n');
  expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  expect(head).toMatch(/content-type: application\/problem\+json/);
  expect(JSON.parse(body)).toMatchObject({ status, code });
  expect(head).toContain(JSON.parse(body).request_id);
  expect(reached).toEqual([]);
});

test('a parse error writes nothing into a response that has started', async () => {
  const socket = connect(port(), '127.0.0.1').setEncoding('latin1');
  let got = '';
  socket
    .on('error', () => {})
    .on('data', (text) => {
      got += text;
      if (got.endsWith('half')) socket.write('NONSENSE\r\n\r\n');
    });
  socket.write('GET /half HTTP/1.1\r\nHost: h\r\n\r\n');
  await once(socket, 'close');
  expect(got).toMatch(/^HTTP\/1\.1 200 OK.*\r\n\r\nhalf$/s);
});

test('a parse error after complete responses gets a problem response', async () => {
  const answer = await rawRequest(port(), 'GET /x HTTP/1.1\r\nHost: h\r\n\r\nNONSENSE\r\n\r\n');
  expect(answer).toMatch(/^HTTP\/1\.1 401 .*\r\n\r\n(0\r\n\r\n)?HTTP\/1\.1 400 /s);
});

test('a request that takes too long gets 408', async () => {
  server.once('connection', (socket) =>
    server.emit('clientError', Object.assign(new Error('late'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' }), socket),
  );
  const [head = '', body = ''] = (await rawRequest(port(), 'GET / HT')).split('\r\n\r\n');
  expect(head).toMatch(/^HTTP\/1\.1 408 Request Timeout/);
  expect(JSON.parse(body)).toMatchObject({ status: 408, code: 'request_timeout' });
});
