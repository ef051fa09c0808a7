import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { isBearer, pushAccepted, pushRefused, readLogoutToken, readSecurityEventToken } from './push.ts';
import { SeenIds } from './seen-ids.ts';
import { EventTokenError } from './signed-token.ts';

test('a received token is 202 without a body', () => {
  expect(pushAccepted).toMatchObject({ status: 202, body: '' });
});

test.each([
  ['invalid_request', 400],
  ['invalid_key', 400],
  ['invalid_issuer', 400],
  ['invalid_audience', 400],
  ['authentication_failed', 401],
] as const)('%s is %i with the code in err', (code, status) => {
  const answer = pushRefused({ code });
  expect(answer).toMatchObject({ status, headers: { 'content-type': 'application/json', 'content-language': 'en' } });
  expect(JSON.parse(answer.body)).toEqual({ err: code, description: expect.any(String) });
});

test('a bearer matches one of two secrets, and nothing else', () => {
  const secrets = [Buffer.from('current'), Buffer.from('previous')];
  for (const right of ['Bearer current', 'bearer previous', 'Bearer  current'])
    expect(isBearer(right, secrets)).toBe(true);
  for (const wrong of [
    undefined,
    '',
    'current',
    'Bearer',
    'Bearer ',
    'Bearer current2',
    'Basic current',
    'Bearer current previous',
  ]) {
    expect(isBearer(wrong, secrets)).toBe(false);
  }
  expect(isBearer('Bearer current', [])).toBe(false);
});

test('seen ids forget the oldest first', () => {
  const seen = new SeenIds(2);
  for (const id of ['a', 'b', 'a', 'c']) seen.add(id);
  expect(['a', 'b', 'c'].map((id) => seen.has(id))).toEqual([false, true, true]);
});

const form = 'application/x-www-form-urlencoded';
const secevent = 'application/secevent+jwt';

describe('the body of a request', () => {
  let read: (request: IncomingMessage) => Promise<string>;
  const server = createServer(async (request, response) => {
    const text = await read(request).catch((error: unknown) => {
      if (error instanceof EventTokenError) return `${error.code}: ${error.message}`;
      throw error;
    });
    response.setHeader('connection', 'close').end(text);
  });
  beforeAll(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterAll(() => {
    server.close();
    server.closeAllConnections();
  });

  /** @returns The body of the response to these header lines and this body. */
  async function send(by: typeof read, lines: readonly string[], body: string): Promise<string> {
    read = by;
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    const head = ['POST / HTTP/1.1', 'Host: a.test', `Content-Length: ${body.length}`, ...lines];
    socket.on('error', () => {});
    socket.write(`${head.join('\r\n')}\r\n\r\n${body}`, 'latin1');
    let text = '';
    for await (const chunk of socket) text += String(chunk);
    return text.slice(text.indexOf('\r\n\r\n') + 4).replace(/^[\da-f]+\r\n|\r\n0\r\n\r\n$/g, '');
  }

  test.each([
    ['a logout token', readLogoutToken, [`Content-Type: ${form}`], 'logout_token=a.b.c', 'a.b.c'],
    ['other fields', readLogoutToken, [`content-type: ${form}; charset=utf-8`], 'x=1&logout_token=a.b.c', 'a.b.c'],
    ['a Security Event Token', readSecurityEventToken, ['Content-Type: Application/SecEvent+JWT'], 'a.b.c\n', 'a.b.c'],
    ['spaces', readSecurityEventToken, [`Content-Type: ${secevent} \t; x=y`], ' a.b.c\xa0\r\n', ' a.b.c\xa0'],
  ])('with %s is read', async (_name, by, lines, body, expected) => {
    expect(await send(by, lines, body)).toBe(expected);
  });

  const large = 'a'.repeat(65_537);
  test.each([
    ['no logout token', readLogoutToken, [`Content-Type: ${form}`], 'token=a', 'not one logout_token'],
    ['two logout tokens', readLogoutToken, [`Content-Type: ${form}`], 'logout_token=a&logout_token=b', 'not one'],
    ['another type', readLogoutToken, [`Content-Type: ${secevent}`], 'logout_token=a', 'another content type'],
    ['no type', readSecurityEventToken, [], 'a.b.c', 'another content type'],
    [
      'a type before U+00A0',
      readSecurityEventToken,
      [`Content-Type: ${secevent}\xa0`],
      'a.b.c',
      'another content type',
    ],
    [
      'two types',
      readSecurityEventToken,
      [`Content-Type: ${secevent}`, `Content-Type: ${form}`],
      'a.b.c',
      'another content',
    ],
    [
      'an encoding',
      readSecurityEventToken,
      [`Content-Type: ${secevent}`, 'Content-Encoding: gzip'],
      'a',
      'an encoded body',
    ],
    ['more than 64 KiB', readSecurityEventToken, [`Content-Type: ${secevent}`], large, 'too large'],
  ])('with %s is refused', async (_name, by, lines, body, why) => {
    expect(await send(by, lines, body)).toContain(`invalid_request: ${why}`);
  });
});
