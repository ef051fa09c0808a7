import { createServer } from 'node:http';
import { duplexPair } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type RequestLines, watchRequestLines } from './request-lines.ts';

/** What is said of each request on one connection, whose bytes come in these pieces. */
async function verdicts(pieces: readonly string[], count: number): Promise<boolean[]> {
  const said: boolean[] = [];
  let lines: RequestLines | undefined;
  const server = createServer({ requireHostHeader: false }, (request, response) => {
    said.push(lines?.isCanonical(request) === true);
    response.once('close', () => lines?.rest());
    request.resume().once('end', () => response.end());
  });
  server.on('connection', (socket) => {
    lines = watchRequestLines(socket);
  });
  const [client, peer] = duplexPair();
  server.emit('connection', peer);
  client.resume();
  for (const piece of pieces) {
    client.write(Buffer.from(piece, 'latin1'));
    await turn();
  }
  for (let waited = 0; said.length < count && waited < 100; waited += 1) await turn();
  client.destroy();
  peer.destroy();
  return said;
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

/** Cuts a text wherever it is told to. */
function cut(text: string, places: readonly number[]): string[] {
  const at = [...new Set(places.map((place) => place % text.length))].sort((a, b) => a - b);
  return [0, ...at].map((from, index) => text.slice(from, at[index] ?? text.length)).filter((piece) => piece !== '');
}

describe('the request lines of a connection', () => {
  test('are canonical where they are, whatever comes before and wherever packets end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(request, chunked), { minLength: 1, maxLength: 6 }),
        fc.array(fc.nat(2000), { maxLength: 8 }),
        async (requests, places) => {
          expect(await verdicts(cut(requests.join(''), places), requests.length)).toEqual(requests.map(() => true));
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
  ])('are not, where one is %j', async (bad) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(request, { maxLength: 4 }),
        fc.array(fc.nat(2000), { maxLength: 8 }),
        async (requests, places) => {
          const text = `${requests.join('')}${bad}GET /bad HTTP/1.1\r\n\r\n`;
          const said = await verdicts(cut(text, places), requests.length + 1);
          expect(said.slice(0, requests.length + 1)).toEqual([...requests.map(() => true), false]);
        },
      ),
      { numRuns: 40 },
    );
  });

  test('behind chunks is told apart from one that is not there at all', async () => {
    const chunks = 'PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n';
    expect(await verdicts([`${chunks}GET  /a HTTP/1.1\r\n\r\n`], 2)).toEqual([true, false]);
    expect(await verdicts([chunks, 'GET  /a HTTP/1.1\r\n\r\n'], 2)).toEqual([true, false]);
    expect(await verdicts([chunks, 'GET /a HTTP/1.1\r\n\r\n'], 2)).toEqual([true, true]);
  });

  test('behind any number of empty lines are told apart, and those are not kept', async () => {
    const emptyLines = Array.from({ length: 200 }, () => '\r\n'.repeat(16_384));
    const before = process.memoryUsage().arrayBuffers;
    expect(await verdicts([...emptyLines, 'GET /a HTTP/1.1\r\n\r\n'], 1)).toEqual([true]);
    // All of them once over, and not each with all before it.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024);
    expect(await verdicts([...emptyLines, 'GET  /a HTTP/1.1\r\n\r\n'], 1)).toEqual([false]);
  });

  test('of a head that has no end are not kept for ever', async () => {
    const head = ['GET /a HTTP/1.1\r\n', ...Array.from({ length: 100 }, () => `X:${' '.repeat(4096)}a\r\n`), '\r\n'];
    expect(await verdicts(head, 1)).toEqual([true]);
  });
});
