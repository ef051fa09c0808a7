import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { eventually } from '@countersign/testing';
import { afterEach, expect, test } from '@jest/globals';
import { maxStreamsPerTarget } from '../src/upstreams/pool/target.ts';
import { type GatewayUnderTest, gatewayUnderTest, parseAnswer } from './gateway-under-test.ts';

let gateway: GatewayUnderTest;
let sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets = [];
  await gateway.close();
});

/** Sends the headers and one byte of a body. @returns The client, and its response once the connection closes. */
function trickle(token: string, from = '127.0.0.1', more = '') {
  const socket = connect({ port: gateway.port, host: '127.0.0.1', localAddress: from });
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => {});
  socket.write(
    `POST /v1/upload HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer ${token}\r\n${more}Content-Length: 100000\r\n\r\na`,
  );
  sockets.push(socket);
  const answer = once(socket, 'close').then(() => parseAnswer(Buffer.concat(chunks).toString('latin1')));
  const drip = (piece: string, everyMs: number) => {
    const timer = setInterval(() => socket.write(piece), everyMs);
    socket.once('close', () => clearInterval(timer));
  };
  return { answer, drip, begun: () => chunks.length > 0 };
}

const refusedWith = (code: string) =>
  gateway.log.lines().filter((line) => line.msg === 'request' && line.code === code).length;

async function goodClientsAreServed(token: string): Promise<void> {
  const statuses = await Promise.all(
    Array.from({ length: 100 }, async () => (await gateway.ask('/v1/things/1', { token })).status),
  );
  expect(new Set(statuses)).toEqual(new Set([200]));
}

const patient = ['response: 2s, idle: 2s', 'response: 60s, idle: 60s'] as const;

test('of 300 slow uploads from one address only maxPerAddress are accepted, and other requests still succeed', async () => {
  gateway = await gatewayUnderTest({
    edits: [patient, ['trustedProxies: []', 'trustedProxies: []\nuploads: { maxPerAddress: 20 }']],
  });
  const token = await gateway.issuer.accessToken();
  for (let count = 0; count < 300; count += 1) trickle(token);
  await eventually(() => expect(refusedWith('rate_limited')).toBe(280));
  expect(gateway.upstream.underWay()).toBe(20);
  await goodClientsAreServed(token);
  // A slot is freed when its upload ends.
  for (const socket of sockets) socket.destroy();
  await eventually(async () => {
    expect((await gateway.ask('/v1/upload', { method: 'POST', token, body: Buffer.from('whole') })).status).toBe(200);
  });
});

test('uploads are counted by the client address that trusted proxies report', async () => {
  gateway = await gatewayUnderTest({
    edits: [patient, ['trustedProxies: []', 'trustedProxies: ["127.0.0.0/8"]\nuploads: { maxPerAddress: 1 }']],
  });
  const token = await gateway.issuer.accessToken();
  for (const client of ['192.0.2.1', '192.0.2.2', '2001:db8::1', '2001:db8::2']) {
    trickle(token, '127.0.0.1', `X-Forwarded-For: ${client}\r\n`);
  }
  // The two IPv6 addresses share a /64.
  await eventually(() => expect(gateway.upstream.underWay()).toBe(3));
  await eventually(() => expect(refusedWith('rate_limited')).toBe(1));
});

test('streams from many addresses can use only half of the connections to a service; the rest stay free', async () => {
  gateway = await gatewayUnderTest({ edits: [patient] });
  const token = await gateway.issuer.accessToken();
  for (let count = 0; count < maxStreamsPerTarget + 30; count += 1) trickle(token, `127.0.0.${(count % 50) + 1}`);
  await eventually(() => expect(refusedWith('upstream_overloaded')).toBe(30), 30_000);
  expect(gateway.upstream.underWay()).toBe(maxStreamsPerTarget);
  await goodClientsAreServed(token);
  sockets[0]?.destroy();
  await eventually(() => expect(gateway.upstream.underWay()).toBe(maxStreamsPerTarget - 1));
  const late = trickle(token);
  await eventually(() => expect(gateway.upstream.underWay()).toBe(maxStreamsPerTarget));
  expect(late.begun()).toBe(false);
});

test('a body slower than minRate gets 408, and a slow one above it gets through', async () => {
  gateway = await gatewayUnderTest({ edits: [['idle: 2s }', 'idle: 1s }, minRate: 2KiB']] });
  const token = await gateway.issuer.accessToken();
  const steady = trickle(token);
  steady.drip('a'.repeat(5_000), 100);
  const slow = trickle(token);
  slow.drip('a'.repeat(10), 50);
  expect(await slow.answer).toMatchObject({ status: 408, code: 'request_timeout' });
  await eventually(() => expect(steady.begun()).toBe(true));
  expect(gateway.upstream.last().body).toHaveLength(100_000);
});
