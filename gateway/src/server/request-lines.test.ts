import { createServer } from 'node:http';
import { duplexPair } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type RequestLines, trackRequestLines } from './request-lines.ts';

/** Sends the pieces on one connection, and returns whether each request line was canonical. */
async function linesAreCanonical(pieces: readonly string[], count: number): Promise<boolean[]> {
  const verdicts: boolean[] = [];
  let lines: RequestLines | undefined;
  const server = createServer({ requireHostHeader: false }, (request, response) => {
    verdicts.push(lines?.isCanonical(request) === true);
    response.once('close', () => lines?.compact());
    request.resume().once('end', () => response.end());
  });
  server.on('connection', (socket) => {
    lines = trackRequestLines(socket);
  });
  const [client, peer] = duplexPair();
  server.emit('connection', peer);
  client.resume();
  for (const piece of pieces) {
    client.write(Buffer.from(piece, 'latin1'));
    await turn();
  }
  for (let waited = 0; verdicts.length < count && waited < 100; waited += 1) await turn();
  client.destroy();
  peer.destroy();
  return verdicts;
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

describe('request lines', () => {
  test('accepts canonical request lines after any request, however packets split them', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(request, chunked), { minLength: 1, maxLength: 6 }),
        fc.array(fc.nat(2000), { maxLength: 8 }),
        async (requests, places) => {
          expect(await linesAreCanonical(cut(requests.join(''), places), requests.length)).toEqual(
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
          const verdicts = await linesAreCanonical(cut(text, places), requests.length + 1);
          expect(verdicts.slice(0, requests.length + 1)).toEqual([...requests.map(() => true), false]);
        },
      ),
      { numRuns: 40 },
    );
  });

  test('checks the request line after a chunked body', async () => {
    const chunks = 'PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n';
    expect(await linesAreCanonical([`${chunks}GET  /a HTTP/1.1\r\n\r\n`], 2)).toEqual([true, false]);
    expect(await linesAreCanonical([chunks, 'GET  /a HTTP/1.1\r\n\r\n'], 2)).toEqual([true, false]);
    expect(await linesAreCanonical([chunks, 'GET /a HTTP/1.1\r\n\r\n'], 2)).toEqual([true, true]);
  });

  test('checks the request line after many empty lines, without keeping them in memory', async () => {
    const emptyLines = Array.from({ length: 200 }, () => '\r\n'.repeat(16_384));
    const before = process.memoryUsage().arrayBuffers;
    expect(await linesAreCanonical([...emptyLines, 'GET /a HTTP/1.1\r\n\r\n'], 1)).toEqual([true]);
    // Copying all earlier bytes for each chunk would allocate far more.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024);
    expect(await linesAreCanonical([...emptyLines, 'GET  /a HTTP/1.1\r\n\r\n'], 1)).toEqual([false]);
  });

  test('accepts a head that is too long to check', async () => {
    const head = ['GET /a HTTP/1.1\r\n', ...Array.from({ length: 100 }, () => `X:${' '.repeat(4096)}a\r\n`), '\r\n'];
    expect(await linesAreCanonical(head, 1)).toEqual([true]);
  });
});
