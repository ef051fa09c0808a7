import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { expect, test } from '@jest/globals';
import { ClosedWithoutStatus, send } from '../src/send.ts';

test('tells what a server sent that closed the connection without a status', async () => {
  const server = createServer((socket) => void socket.on('data', () => socket.end('<title>400</title>')));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const sent = send(url, { method: 'GET', target: '/\\', headers: [], body_base64: '' });
  await expect(sent).rejects.toEqual(new ClosedWithoutStatus('<title>400</title>'));
  await expect(sent).rejects.toHaveProperty('received', '<title>400</title>');
  server.close();
});

test.each([
  ['content-length', 'body'],
  ['transfer-encoding', '4\r\nbody\r\n0\r\n\r\n'],
  // A server that ignores the length waits for chunks.
  ['content-length and transfer-encoding', '4\r\nbody\r\n0\r\n\r\n'],
])('sends a body with %s so that every server sees its end', async (framing, expected) => {
  let received = '';
  const server = createServer((socket) => {
    socket.setEncoding('latin1').on('data', (text: string) => {
      received += text;
      if (received.endsWith(expected)) socket.end('HTTP/1.1 204 No Content\r\n\r\n');
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const values: Record<string, string> = { 'content-length': '4', 'transfer-encoding': 'chunked' };
  const headers = framing.split(' and ').map((name) => [name, values[name] ?? ''] as const);
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const body_base64 = Buffer.from('body').toString('base64');
  const { status } = await send(url, { method: 'POST', target: '/', headers, body_base64 });
  server.close();
  expect([status, received.split('\r\n\r\n').slice(1).join('\r\n\r\n')]).toEqual([204, expected]);
});
