import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { duplexPair } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type RequestLines, trackRequestLines } from './request-lines.ts';

type Way = 'a TCP socket' | 'a stream';

let server: Server;
let lines: RequestLines;
let verdicts: (boolean | 'long head')[] = [];
beforeAll(async () => {
  server = createServer({ requireHostHeader: false, maxHeaderSize: 20 * 1024 }, (request, response) => {
    const problem = lines.problemOf(request);
    verdicts.push(problem === 'long head' ? problem : problem === undefined);
    request.resume().once('end', () => response.writeHead(200, { 'content-length': 0 }).end());
  });
  server.on('connection', (socket) => {
    lines = trackRequestLines(socket, () => {
      verdicts.push('long head');
      socket.destroy();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(() => void server.close());

/** Sends the pieces on one connection, and returns whether each request line was canonical. */
async function linesAreCanonical(
  pieces: readonly string[],
  count: number,
  way: Way = 'a TCP socket',
): Promise<typeof verdicts> {
  verdicts = [];
  const [client, peer] = duplexPair();
  if (way === 'a stream') server.emit('connection', peer);
  const to = way === 'a stream' ? client : connect((server.address() as AddressInfo).port, '127.0.0.1').setNoDelay();
  if (to !== client) await once(to, 'connect');
  to.on('error', () => {}).resume();
  for (const piece of pieces) {
    to.write(Buffer.from(piece, 'latin1'));
    await turn();
  }
  const untilMs = performance.now() + 5_000;
  while (verdicts.length < count && verdicts.at(-1) !== 'long head' && !to.closed && performance.now() < untilMs)
    await turn();
  const seen = verdicts;
  to.destroy();
  peer.destroy();
  while (!to.closed) await turn();
  return seen;
}

const body = fc.string({
  unit: fc.constantFrom('a', 'G', 'E', 'T', ' ', '/', '\r', '\n', '\r\n\r\n', 'GET /x HTTP/1.1\r\n'),
  maxLength: 12,
});
const request = fc.oneof(
  fc
    .record({ blank: fc.nat(2), more: fc.nat(60) })
    .map(({ blank, more }) => `${'\r\n'.repeat(blank)}GET /a HTTP/1.1\r\nX: ${'b'.repeat(more)}\r\n\r\n`),
  fc.constant('DELETE /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n'),
  body.map((text) => `POST /x HTTP/1.1\r\nContent-Length: ${text.length}\r\n\r\n${text}`),
);
const chunked = body.map(
  (text) =>
    `PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n${text.length === 0 ? '' : `${text.length.toString(16)}\r\n${text}\r\n`}0\r\n\r\n`,
);

/** Splits a text at the given places. */
function cut(text: string, places: readonly number[]): string[] {
  const at = [...new Set(places.map((place) => place % text.length))].sort((a, b) => a - b);
  return [0, ...at].map((from, index) => text.slice(from, at[index] ?? text.length)).filter((piece) => piece !== '');
}

describe.each<Way>(['a TCP socket', 'a stream'])('request lines on %s', (way) => {
  test('accepts canonical request lines after any request, however packets split them', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(request, chunked), { minLength: 1, maxLength: 6 }),
        fc.array(fc.nat(2000), { maxLength: 8 }),
        async (requests, places) => {
          expect(await linesAreCanonical(cut(requests.join(''), places), requests.length, way)).toEqual(
            requests.map(() => true),
          );
        },
      ),
    );
  });

  test.each([
    'GET  /bad HTTP/1.1\r\n\r\n',
    'GET /bad  HTTP/1.1\r\n\r\n',
    'GET /bad RTSP/1.0\r\n\r\n',
    '\rGET /bad HTTP/1.1\r\n\r\n',
    '\nGET /bad HTTP/1.1\r\n\r\n',
  ])('refuses the request line %j', async (bad) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(request, { maxLength: 4 }),
        fc.array(fc.nat(2000), { maxLength: 8 }),
        async (requests, places) => {
          const text = `${requests.join('')}${bad}GET /bad HTTP/1.1\r\n\r\n`;
          const verdicts = await linesAreCanonical(cut(text, places), requests.length + 1, way);
          expect(verdicts.slice(0, requests.length + 1)).toEqual([...requests.map(() => true), false]);
        },
      ),
      { numRuns: 40 },
    );
  });

  test('checks the request line after a chunked body', async () => {
    const chunks = 'PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n';
    expect(await linesAreCanonical([`${chunks}GET  /a HTTP/1.1\r\n\r\n`], 2, way)).toEqual([true, false]);
    expect(await linesAreCanonical([chunks, 'GET  /a HTTP/1.1\r\n\r\n'], 2, way)).toEqual([true, false]);
    expect(await linesAreCanonical([chunks, 'GET /a HTTP/1.1\r\n\r\n'], 2, way)).toEqual([true, true]);
  });

  test.each([
    ['a chunk', '11\r\nGET /a HTTP/1.1\r\n\r\n0\r\n\r\n'],
    ['an extension of a chunk', '1;a="GET /a HTTP/1.1"\r\nx\r\n0\r\n\r\n'],
    ['a trailer', '1\r\nx\r\n0\r\nX: GET /a HTTP/1.1\r\n\r\n'],
  ])('does not take %s for the next request line', async (_name, chunks) => {
    const put = `PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`;
    for (const pieces of [[`${put}GET  /a HTTP/1.1\r\n\r\n`], [...put, 'GET  /a HTTP/1.1\r\n\r\n']]) {
      expect(await linesAreCanonical(pieces, 2, way)).toEqual([true, false]);
    }
    expect(await linesAreCanonical([put, 'GET /a HTTP/1.1\r\n\r\n'], 2, way)).toEqual([true, true]);
  });

  test('checks the request line after many empty lines, without keeping them in memory', async () => {
    const emptyLines = Array.from({ length: 200 }, () => '\r\n'.repeat(16_384));
    const before = process.memoryUsage().arrayBuffers;
    expect(await linesAreCanonical([...emptyLines, 'GET /a HTTP/1.1\r\n\r\n'], 1, way)).toEqual([true]);
    // Copying all earlier bytes for each chunk would allocate far more.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024);
    expect(await linesAreCanonical([...emptyLines, 'GET  /a HTTP/1.1\r\n\r\n'], 1, way)).toEqual([false]);
  });

  test.each([
    ['spaces before a value', ['GET /a HTTP/1.1\r\n', `X:${' '.repeat(70_000)}a\r\n`]],
    ['spaces in a trailer', ['PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n', `X:${' '.repeat(70_000)}`]],
  ])('refuses a head that is too long to check: %s', async (_name, head) => {
    const verdicts = await linesAreCanonical([...head, '\r\n\r\nGET  /a HTTP/1.1\r\n\r\n'], 2, way);
    expect(verdicts.at(-1)).toBe('long head');
  });

  test('refuses a request line with 70,000 spaces', async () => {
    const verdicts = await linesAreCanonical([`GET ${' '.repeat(70_000)}/a HTTP/1.1\r\n\r\n`], 1, way);
    // The second, where the kernel delivers it in two packets.
    expect([[false], ['long head']]).toContainEqual(verdicts);
  });
});
