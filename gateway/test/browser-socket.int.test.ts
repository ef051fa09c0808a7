import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { eventually, type RecordedRequest } from '@countersign/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { WebSocket } from 'undici';
import { type GatewayUnderTest, gatewayUnderTest, parseAnswer } from './gateway-under-test.ts';
import { feedItem } from './issuer-server.ts';

const key = 'dGhlIHNhbXBsZSBub25jZQ==';
const textFrame = (text: string) => Buffer.concat([Buffer.from([0x81, text.length]), Buffer.from(text)]);

/** All bytes that the service received on its sockets. */
const received: Buffer[] = [];

/** Accepts every upgrade, sends a greeting in the same packet, and chooses the protocol from the query. */
function upgrade(request: RecordedRequest, socket: Duplex): void {
  const accept = createHash('sha1')
    .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest('base64');
  const query = new URLSearchParams(request.target.split('?')[1]);
  const chosen = query.getAll('choose').map((name) => `Sec-WebSocket-Protocol: ${name}\r\n`);
  const head = `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n${chosen.join('')}\r\n`;
  const first = query.has('torn') ? Buffer.from([0x82, 100, 1, 2, 3]) : textFrame('welcome');
  socket.write(Buffer.concat([Buffer.from(head), first]));
  socket.on('data', (chunk: Buffer) => {
    received.push(chunk);
    // Answers a close frame with another, since a browser waits for it.
    if (chunk[0] === 0x88) socket.end(Buffer.from([0x88, 0]));
  });
}

describe('a WebSocket of a browser', () => {
  let gateway: GatewayUnderTest;
  let token: string;
  let seen: number;
  beforeAll(async () => {
    gateway = await gatewayUnderTest({
      upstream: { upgrade },
      edits: [
        ['publicOrigins: ["http://gateway.test"]', 'publicOrigins: []'],
        ['trustedProxies: []', 'websockets: { maxPerUser: 4 }'],
        [
          '  - { name: maybe,',
          '  - { name: open-socket, path: /v1/open-socket, methods: [GET], upstream: things, auth: public, websocket: true }\n  - { name: maybe,',
        ],
      ],
    });
    token = await gateway.issuer.accessToken();
  });
  beforeEach(() => {
    seen = gateway.upstream.requests.length;
    received.length = 0;
  });
  afterAll(() => gateway.close());

  const opened: WebSocket[] = [];
  const sockets: Socket[] = [];
  afterEach(async () => {
    for (const socket of opened.splice(0)) socket.close();
    for (const socket of sockets.splice(0)) socket.destroy();
    await eventually(async () =>
      expect(await (await gateway.admin('/metrics')).text()).toContain('countersign_open_connections 0'),
    );
  });

  /** Opens a WebSocket as a page does. Settles when it is open or has failed. */
  async function open(protocols: string[], target = '/v1/socket') {
    const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}${target}`, protocols);
    opened.push(socket);
    const messages: unknown[] = [];
    const closed: { code: number; reason: string }[] = [];
    socket.addEventListener('message', ({ data }) => messages.push(data));
    socket.addEventListener('close', ({ code, reason }) => closed.push({ code, reason }));
    const isOpen = await new Promise<boolean>((resolve) => {
      socket.addEventListener('open', () => resolve(true));
      socket.addEventListener('error', () => resolve(false));
    });
    return { socket, isOpen, messages, closed };
  }

  /** Sends raw bytes, for requests that a browser would not send. */
  async function handshake(lines: string, target = '/v1/socket', version = 'Sec-WebSocket-Version: 13\r\n') {
    const socket = connect(gateway.port, '127.0.0.1');
    sockets.push(socket);
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
    });
    socket.on('error', () => socket.destroy());
    await once(socket, 'connect');
    socket.write(
      `GET ${target} HTTP/1.1\r\nHost: gateway.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${version}Sec-WebSocket-Key: ${key}\r\n${lines}\r\n`,
    );
    await eventually(() => expect(text !== '' || socket.destroyed).toBe(true));
    return { ...parseAnswer(text), socket };
  }
  const bearer = (value = token) => `Authorization: Bearer ${value}\r\n`;

  test('opens with the token among its protocols, and the service does not see the token', async () => {
    const { isOpen, socket, messages } = await open(['countersign', `bearer.${token}`]);
    expect([isOpen, socket.protocol]).toEqual([true, 'countersign']);
    await eventually(() => expect(messages).toEqual(['welcome']));
    const { headers, rawHeaders } = gateway.upstream.last();
    expect(headers).toMatchObject({ 'x-identity': 'user', 'x-user-role': 'agent' });
    expect(headers['sec-websocket-protocol']).toBeUndefined();
    expect(headers.authorization).toBeUndefined();
    expect(rawHeaders.join(' ')).not.toContain(token.slice(0, 20));
    socket.send('hello');
    await eventually(() => expect(received.length).toBeGreaterThan(0));
  });

  test('has the protocol that the service chooses', async () => {
    const { isOpen, socket } = await open(
      ['v1.chat', 'countersign', `bearer.${token}`, 'v2.chat'],
      '/v1/socket?choose=v2.chat',
    );
    expect([isOpen, socket.protocol]).toEqual([true, 'v2.chat']);
    expect(gateway.upstream.last().headers['sec-websocket-protocol']).toBe('v1.chat, v2.chat');
  });

  test('may offer only countersign on a route without a token', async () => {
    const { isOpen, socket } = await open(['countersign'], '/v1/open-socket');
    expect([isOpen, socket.protocol]).toEqual([true, 'countersign']);
    expect(gateway.upstream.last().headers['x-identity']).toBe('anonymous');
  });

  test.each([
    ['that was not offered', 'choose=other'],
    ['that is countersign', 'choose=countersign'],
    ['and another', 'choose=v1.chat&choose=v2.chat'],
  ])('fails if the service chooses a protocol %s', async (_name, query) => {
    const { isOpen } = await open(['v1.chat', 'v2.chat', 'countersign', `bearer.${token}`], `/v1/socket?${query}`);
    expect(isOpen).toBe(false);
    expect(
      gateway.log
        .lines()
        .filter(({ msg }) => msg === 'request')
        .at(-1),
    ).toMatchObject({ code: 'upstream_invalid_response' });
  });

  test('fails with a bad token, and the log has neither bad nor good tokens', async () => {
    const canary = 'eyJhbGciOiJub25lIn0.Y2FuYXJ5.c2VjcmV0';
    const { isOpen } = await open(['countersign', `bearer.${canary}`]);
    expect(isOpen).toBe(false);
    const refused = await handshake(`Sec-WebSocket-Protocol: countersign, bearer.${canary}\r\n`);
    expect([refused.status, refused.code]).toEqual([401, 'token_malformed']);
    expect(refused.text).not.toContain('Y2FuYXJ5');
    expect(gateway.upstream.requests.length).toBe(seen);
    await eventually(() => expect(gateway.log.lines().some(({ status }) => status === 401)).toBe(true));
    const log = JSON.stringify(gateway.log.lines());
    expect(log).not.toContain('Y2FuYXJ5');
    expect(log).not.toContain(token.split('.')[1]);
  });

  test.each([
    ['a token in both headers', () => `${bearer()}Sec-WebSocket-Protocol: countersign, bearer.${token}\r\n`],
    ['two tokens among its protocols', () => `Sec-WebSocket-Protocol: countersign, bearer.${token}, bearer.x\r\n`],
    [
      'two tokens in two headers',
      () => `Sec-WebSocket-Protocol: countersign, bearer.${token}\r\nSec-WebSocket-Protocol: bearer.x\r\n`,
    ],
    ['a token without countersign', () => `Sec-WebSocket-Protocol: bearer.${token}\r\n`],
    ['a token in another spelling', () => `Sec-WebSocket-Protocol: countersign, BEARER.${token}\r\n`],
    ['two origins', () => `${bearer()}Origin: http://gateway.test\r\nOrigin: http://gateway.test\r\n`],
    ['two versions', () => `${bearer()}Sec-WebSocket-Version: 8\r\n`],
  ])('with %s is malformed', async (_name, lines) => {
    const { status, code } = await handshake(lines());
    expect([status, code]).toEqual([400, 'invalid_request']);
    expect(gateway.upstream.requests.length).toBe(seen);
  });

  test.each([
    ['a header name with underscores', `Sec_WebSocket_Protocol: countersign, bearer.TOKEN\r\n`],
    [
      'a header that Connection names',
      `Sec-WebSocket-Protocol: countersign, bearer.TOKEN\r\nConnection: Sec-WebSocket-Protocol\r\n`,
    ],
    ['a query', 'X-Nothing: 1\r\n'],
    ['a cookie', 'Cookie: token=TOKEN; access_token=TOKEN\r\n'],
  ])('does not take a token from %s', async (_name, lines) => {
    const target = `/v1/socket?access_token=${token}&token=${token}`;
    const { status, code } = await handshake(lines.replaceAll('TOKEN', token), target);
    expect([status, code]).toEqual([401, 'token_missing']);
    expect(gateway.upstream.requests.length).toBe(seen);
  });

  test('a plain request ignores the header, and the service does not get its token', async () => {
    const lines = `Sec-WebSocket-Protocol: countersign, bearer.${token}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n`;
    const refused = await gateway.raw(`GET /v1/things/1 HTTP/1.1\r\n<host>\r\n${lines}<close>\r\n\r\n`);
    expect([refused.status, refused.code]).toEqual([401, 'token_missing']);
    await gateway.raw(`GET /v1/open/1 HTTP/1.1\r\n<host>\r\n${lines}<close>\r\n\r\n`);
    expect(gateway.upstream.last().rawHeaders.join(' ')).not.toMatch(/bearer|sec-websocket/i);
  });

  test.each(['777', '12', '8', '', '013', '13, 8'])(
    'of version %p is refused, and the bytes after it are not relayed',
    async (version) => {
      const answer = await handshake(bearer(), '/v1/socket', `Sec-WebSocket-Version: ${version}\r\n`);
      answer.socket.write('GET /v1/admin HTTP/1.1\r\nHost: internal\r\n\r\n');
      expect([answer.status, answer.code]).toEqual([426, 'websocket_version_refused']);
      expect(answer.headers).toMatchObject({
        'sec-websocket-version': '13',
        upgrade: 'websocket',
        connection: 'close',
      });
      expect(gateway.upstream.requests.length).toBe(seen);
    },
  );

  test.each([
    ['http://gateway.test', 101],
    ['https://gateway.test', 101],
    ['http://gateway.test:80', 403],
    ['http://gateway.test:8080', 403],
    ['http://evil.test', 403],
    ['http://gateway.test.evil.test', 403],
    ['http://evil.test#gateway.test', 403],
    ['http://gateway.test/', 403],
    ['null', 403],
    ['', 403],
    ['file://', 403],
  ])('from origin %p, without publicOrigins and cors, is %i', async (origin, expected) => {
    const { status, code } = await handshake(`${bearer()}Origin: ${origin}\r\n`);
    expect([status, code]).toEqual([expected, expected === 403 ? 'origin_not_allowed' : undefined]);
    expect(gateway.upstream.requests.length).toBe(seen + (expected === 101 ? 1 : 0));
  });

  test('counts towards the user’s maximum across all routes until it closes', async () => {
    const mine = await gateway.issuer.accessToken({ user_id: 'u-cap', sub: 'u-cap' });
    const again = await gateway.issuer.accessToken({ user_id: 'u-cap', sub: 'u-cap' });
    const answers = await Promise.all(
      Array.from({ length: 9 }, (_, at) =>
        handshake(bearer(at % 2 === 0 ? mine : again), at % 3 === 0 ? '/v1/socket?a' : '/v1/socket'),
      ),
    );
    const refused = answers.filter(({ status }) => status === 429);
    expect(answers.filter(({ status }) => status === 101)).toHaveLength(4);
    expect(refused.map(({ code }) => code)).toEqual(Array(5).fill('too_many_sockets'));
    expect(gateway.upstream.requests.length).toBe(seen + 4);
    expect((await handshake(bearer())).status).toBe(101);
    // Closing one frees a place.
    answers.find(({ status }) => status === 101)?.socket.destroy();
    await eventually(async () => expect((await handshake(bearer(mine))).status).toBe(101));
  });

  test.each([
    ['between two frames with a close frame that says why', '', 1008, 'token_revoked'],
    ['inside a frame without one', '?torn', 1006, ''],
  ])('whose token is revoked ends %s', async (_name, query, code, reason) => {
    const sid = `s-ends-${code}`;
    const mine = await gateway.issuer.accessToken({ sid });
    const { isOpen, messages, closed } = await open(['countersign', `bearer.${mine}`], `/v1/socket${query}`);
    expect(isOpen).toBe(true);
    if (query === '') await eventually(() => expect(messages).toEqual(['welcome']));
    gateway.issuerServer.revoke(feedItem('session', { sid }));
    await eventually(() => expect(closed).toEqual([{ code, reason }]));
    // The service gets a client's close frame: 0x88, masked.
    await eventually(() => expect(Buffer.concat(received).subarray(0, 2)).toEqual(Buffer.from([0x88, 0x82])));
  });
});

describe('with publicOrigins and cors', () => {
  const cors = 'cors: { origins: ["https://app.example.test"] }\nheaders: { strip: [Origin] }';
  let gateway: GatewayUnderTest;
  let token: string;
  beforeAll(async () => {
    gateway = await gatewayUnderTest({ upstream: { upgrade }, edits: [['trustedProxies: []', cors]] });
    token = await gateway.issuer.accessToken();
  });
  afterAll(() => gateway.close());
  const sockets: Socket[] = [];
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
  });

  async function handshake(origin: string) {
    const socket = connect(gateway.port, '127.0.0.1');
    sockets.push(socket);
    let text = '';
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
    });
    socket.write(
      `GET /v1/socket HTTP/1.1\r\nHost: gateway.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\nAuthorization: Bearer ${token}\r\nOrigin: ${origin}\r\n\r\n`,
    );
    await eventually(() => expect(text).not.toBe(''));
    return { ...parseAnswer(text), socket };
  }

  test.each([
    ['ours', 'http://gateway.test', 101],
    ['a cors origin', 'https://app.example.test', 101],
    ['an unlisted origin', 'https://evil.test', 403],
    ['our host with another scheme', 'https://gateway.test', 403],
    ['the origin null', 'null', 403],
  ])('checks a WebSocket from %s against the allowed origins', async (_name, origin, expected) => {
    const before = gateway.upstream.requests.length;
    expect((await handshake(origin)).status).toBe(expected);
    expect(gateway.upstream.requests.length).toBe(before + (expected === 101 ? 1 : 0));
    // The configuration strips Origin, but the gateway still decides by it.
    if (expected === 101) expect(gateway.upstream.last().headers.origin).toBeUndefined();
  });

  test('a new configuration counts the WebSockets that are already open', async () => {
    const two = `websockets: { maxPerUser: 2 }`;
    await gateway.reload([['trustedProxies: []', two]]);
    const open = [await handshake('http://gateway.test'), await handshake('http://gateway.test')];
    await gateway.reload([['trustedProxies: []', `${two}\n${cors}`]]);
    expect((await handshake('https://app.example.test')).code).toBe('too_many_sockets');
    open[0]?.socket.destroy();
    await eventually(async () => expect((await handshake('https://app.example.test')).status).toBe(101));
    expect(open.map(({ status, socket }) => [status, socket.destroyed])).toEqual([
      [101, true],
      [101, false],
    ]);
  });
});
