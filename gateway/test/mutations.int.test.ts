import { connect } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';

const head = (line: string, more: string) => `${line} HTTP/1.1\r\nHost: gateway.test\r\n${more}\r\n`;
const last = head('GET /v1/open/last', 'Connection: close\r\n');
const goodOnes = [
  `${head('POST /v1/open/1', 'Content-Type: text/plain\r\nContent-Length: 5\r\n')}hello${last}`,
  `${head('POST /v1/open/1', 'Transfer-Encoding: chunked\r\n')}5\r\nhello\r\n0\r\n\r\n${last}`,
  head(
    'GET /v1/open/1?a=b',
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n',
  ) + last,
];
const pieces = [
  ...[
    '\r',
    '\n',
    '\r\n',
    '\r\n\r\n',
    ' ',
    '\t',
    '\0',
    '\x0b',
    '\xff',
    ':',
    ';',
    ',',
    '0',
    '5',
    'a',
    '//',
    '%2f',
    '?',
    '#',
    '\x16\x03\x01',
  ],
  ...[
    'GET ',
    ' HTTP/1.1',
    'Transfer-Encoding: chunked\r\n',
    'Content-Length: 3\r\n',
    'Host: x\r\n',
    'Expect: 100-continue\r\n',
    '0\r\n\r\n',
  ],
  head('GET /v1/admin', 'X-User-Id: root\r\n'),
];

/** Replaces `over` characters by a piece. */
type Mutation = Readonly<{ at: number; piece: string; over: number }>;
const mutation: fc.Arbitrary<Mutation> = fc.record({
  at: fc.nat(400),
  piece: fc.constantFrom('', ...pieces),
  over: fc.nat(5),
});
const mutated = fc
  .tuple(fc.constantFrom(...goodOnes), fc.array(mutation, { minLength: 1, maxLength: 3 }), fc.nat(400))
  .map(([good, mutations, cut]) => {
    let text = good;
    for (const { at, piece, over } of mutations) {
      const place = at % text.length;
      text = text.slice(0, place) + piece + text.slice(place + over);
    }
    return [text.slice(0, cut), text.slice(cut)] as const;
  });

let gateway: GatewayUnderTest;
beforeAll(async () => {
  gateway = await gatewayUnderTest({ listenerTimes: { headMs: 500, keepAliveMs: 200, checkEveryMs: 50 } });
});
afterAll(() => gateway.close());

/** Sends bytes in two packets, and returns the answer until either side closes. */
async function send([first, second]: readonly [string, string]): Promise<string> {
  const socket = connect(gateway.port, '127.0.0.1').on('error', () => {});
  const chunks: Buffer[] = [];
  const enough = setTimeout(() => socket.destroy(), 1_000);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.write(Buffer.from(first, 'latin1'));
  await turn();
  socket.write(Buffer.from(second, 'latin1'));
  await closed;
  clearTimeout(enough);
  return Buffer.concat(chunks).toString('latin1');
}

test('refuses or serves requests with a few changed bytes, and never answers 5xx', async () => {
  const strange: string[] = [];
  for (const batch of [1, 2, 3, 4]) {
    const sent = fc.sample(mutated, 60);
    for (const [at, text] of (await Promise.all(sent.map(send))).entries()) {
      const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
      if (statuses.some((status) => status >= 500)) strange.push(`${batch}: ${JSON.stringify(sent[at])}: ${statuses}`);
    }
  }
  expect(strange).toEqual([]);
  const odd = gateway.upstream.requests.filter(
    ({ target, headers }) =>
      !/^\/v1\/open([/?]|$)/.test(target) ||
      headers['x-identity'] !== 'anonymous' ||
      headers['x-user-id'] !== undefined,
  );
  expect(odd).toEqual([]);
  expect((await gateway.ask('/v1/open/1')).status).toBe(200);
});
