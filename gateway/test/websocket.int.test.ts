import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { eventually, type RecordedRequest } from '@countersign/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { acme, type GatewayUnderTest, gatewayUnderTest, parseAnswer } from './gateway-under-test.ts';
import { feedItem } from './issuer-server.ts';

const key = 'dGhlIHNhbXBsZSBub25jZQ==';
const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');

/** How the service answers an upgrade, depending on the query. */
function upgrade(request: RecordedRequest, socket: Duplex): void {
  const answers: Record<string, string> = {
    'no-upgrade':
      'HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nX-User-Id: evil\r\nContent-Length: 4\r\n\r\nnope',
    'just-begun': 'HTTP/1.1 401 Unauthorized\r\nX-Identity-Refused: created_before_start\r\nContent-Length: 0\r\n\r\n',
    refused: 'HTTP/1.1 401 Unauthorized\r\nX-Identity-Refused: expired\r\nContent-Length: 0\r\n\r\n',
    other: 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n',
    bare: 'HTTP/1.1 101 Switching Protocols\r\n\r\n',
    nonsense: 'nonsense\r\n\r\n',
    events: 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n',
    cut: 'HTTP/1.1 200 OK\r\nContent-Length: 700\r\n\r\nhello',
    stuck: 'HTTP/1.1 200 OK\r\nContent-Length: 700\r\n\r\nhello',
  };
  const how = request.target.split('?')[1] ?? '';
  if (how === 'hang') return;
  if (how === 'gone') {
    socket.destroy();
    return;
  }
  socket.write(
    answers[how] ??
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\nContent-Length: 5\r\nX-User-Id: evil\r\nSignature: evil\r\n\r\n`,
  );
  if (how === 'deaf') return;
  if (how === 'cut') setTimeout(() => (socket as Socket).resetAndDestroy(), 20);
  socket.on('data', (chunk) => socket.write(`echo ${chunk}`));
}

describe('a WebSocket', () => {
  let gateway: GatewayUnderTest;
  let token: string;
  let seen: number;
  beforeAll(async () => {
    gateway = await gatewayUnderTest({ upstream: { upgrade } });
    token = await gateway.issuer.accessToken();
  });
  beforeEach(() => {
    seen = gateway.upstream.requests.length;
  });
  afterAll(() => gateway.close());

  const handshake = (lines: string, target = '/v1/socket', line = `GET ${target} HTTP/1.1`) =>
    `${line}\r\nHost: gateway.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n${lines}\r\n`;
  const bearer = (value = token) => `Authorization: Bearer ${value}\r\n`;
  const answerTo = async (bytes: string) => parseAnswer((await talk(bytes)).text());

  /** Opens a connection, and records the received bytes and the end. */
  async function talk(bytes: string) {
    const socket: Socket = connect(gateway.port, '127.0.0.1');
    let text = '';
    let ended = false;
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
    });
    socket.on('error', () => socket.destroy());
    socket.once('close', () => {
      ended = true;
    });
    await once(socket, 'connect');
    socket.write(bytes);
    await eventually(() => expect(text !== '' || ended).toBe(true));
    return { socket, text: () => text, ended: () => ended };
  }
  const ended = (connection: { ended(): boolean }) => eventually(() => expect(connection.ended()).toBe(true), 10_000);

  test('opens with a valid token, signed, and relays bytes both ways', async () => {
    const connection = await talk(handshake(`${bearer()}X-User-Id: evil\r\nX_User_Role: evil\r\nSignature: evil\r\n`));
    const { status, headers } = parseAnswer(connection.text());
    expect([status, headers.upgrade, headers['sec-websocket-accept']]).toEqual([101, 'websocket', accept]);
    expect(connection.text()).not.toContain('evil');
    expect(headers['content-length']).toBeUndefined();
    connection.socket.write('hello');
    await eventually(() => expect(connection.text()).toContain('echo hello'));
    const arrived = gateway.upstream.last();
    expect(arrived.headers).toMatchObject({
      'x-identity': 'user',
      'x-user-role': 'agent',
      'x-tenant-id': acme,
      upgrade: 'websocket',
      'sec-websocket-key': key,
      host: `127.0.0.1:${gateway.upstream.port}`,
    });
    expect(arrived.headers['signature-input']).toContain('"upgrade" "sec-websocket-key")');
    expect(JSON.stringify(arrived.rawHeaders)).not.toMatch(/evil|Bearer/);
    for (const name of ['x-user-id', 'signature', 'upgrade', 'connection', 'sec-websocket-key']) {
      expect([name, arrived.count(name)]).toEqual([name, 1]);
    }
    connection.socket.destroy();
  });

  test.each([
    ['no token', '', 401, 'token_missing'],
    ['no token, and spoofed identity headers', 'X-User-Id: root\r\nX-Identity: user\r\n', 401, 'token_missing'],
    ['a bad token', 'Authorization: Bearer a.b.c\r\n', 401, 'token_malformed'],
    ['two tokens', 'Authorization: Bearer a.b.c\r\nAuthorization: Bearer a.b.c\r\n', 400, 'invalid_request'],
    ['a body', 'Content-Length: 3\r\n', 400, 'body_not_allowed'],
    ['two keys', `Sec-WebSocket-Key: ${key}\r\n`, 400, 'invalid_request'],
    ['another host as well', 'Host: evil.test\r\n', 400, 'invalid_host'],
  ])('with %s gets no 101, and its connection ends', async (_name, lines, status, code) => {
    const connection = await talk(handshake(lines));
    await ended(connection);
    const answer = parseAnswer(connection.text());
    expect([answer.status, answer.code, answer.headers.connection]).toEqual([status, code, 'close']);
    expect(answer.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
    expect(gateway.upstream.requests.length).toBe(seen);
  });

  test.each([
    ['a route without WebSockets', '/v1/things/1', 400, 'upgrade_not_allowed'],
    ['a path without a route', '/v1/nothing', 404, 'no_route'],
    ['an ambiguous target', '/v1/./socket', 400, 'invalid_target'],
    ['an absolute target', 'http://evil.test/v1/socket', 400, 'invalid_target'],
  ])('to %s is refused', async (_name, target, status, code) => {
    const answer = await answerTo(handshake(bearer(), target));
    expect([answer.status, answer.code]).toEqual([status, code]);
    expect(gateway.upstream.requests.length).toBe(seen);
  });

  test('over HTTP/1.0 is not upgraded (RFC 6455 section 4.1)', async () => {
    const answer = await answerTo(handshake(bearer(), '', 'GET /v1/socket HTTP/1.0'));
    expect([answer.status, answer.code]).toEqual([400, 'invalid_request']);
    expect(gateway.upstream.requests.length).toBe(seen);
  });

  test('by POST is a plain request', async () => {
    const answer = await answerTo(handshake(bearer(), '', 'POST /v1/socket HTTP/1.1'));
    expect([answer.status, answer.code]).toEqual([405, 'method_not_allowed']);
  });

  test('that the service refuses ends, and the bytes after the request are not relayed', async () => {
    const smuggled = 'GET /v1/admin HTTP/1.1\r\nHost: internal\r\nX-User-Id: root\r\n\r\n';
    const connection = await talk(handshake(bearer(), '/v1/socket?no-upgrade') + smuggled);
    connection.socket.write(smuggled);
    await ended(connection);
    const answer = parseAnswer(connection.text());
    expect([answer.status, answer.headers.connection, answer.body]).toEqual([426, 'close', 'nope']);
    expect(connection.text()).not.toContain('evil');
    expect(gateway.upstream.requests.length).toBe(seen + 1);
  });

  test.each([
    ['does not accept the gateway', 'refused', 502, 'identity_refused'],
    ['has new replay memory', 'just-begun', 503, 'identity_unavailable'],
    ['switches to another protocol', 'other', 502, 'upstream_invalid_response'],
    ['names no protocol in its 101', 'bare', 502, 'upstream_invalid_response'],
    ['closes the connection', 'gone', 502, 'upstream_broken'],
    ['speaks another protocol', 'nonsense', 502, 'upstream_invalid_response'],
    ['does not answer', 'hang', 504, 'upstream_timeout'],
  ])('to a service that %s is refused', async (_name, how, status, code) => {
    const connection = await talk(handshake(bearer(), `/v1/socket?${how}`));
    await ended(connection);
    const answer = parseAnswer(connection.text());
    expect([answer.status, answer.code]).toEqual([status, code]);
  });

  test.each([
    ['session', { sid: 's-1' }],
    ['user', { user_id: 'u-2' }],
    ['member', { user_id: 'u-3', tenant_id: 't-1' }],
  ])('ends when its %s is revoked, and others stay open', async (kind, names) => {
    const mine = await gateway.issuer.accessToken(names);
    const connection = await talk(handshake(bearer(mine)));
    const other = await talk(handshake(bearer()));
    expect(parseAnswer(connection.text()).status).toBe(101);
    gateway.issuerServer.revoke(feedItem(kind, names));
    await ended(connection);
    expect(other.ended()).toBe(false);
    other.socket.destroy();
  });

  test('that a service answers with an event stream ends with its session too', async () => {
    const mine = await gateway.issuer.accessToken({ sid: 's-2' });
    const connection = await talk(handshake(bearer(mine), '/v1/socket?events'));
    await eventually(() => expect(connection.text()).toContain('data: 1'));
    expect(connection.ended()).toBe(false);
    gateway.issuerServer.revoke(feedItem('session', { sid: 's-2' }));
    await eventually(() => expect(connection.ended()).toBe(true), 1_500);
  });

  test.each([
    ['ends early', 'cut'],
    ['stops', 'stuck'],
  ])('whose answer %s is broken off for the client too, with nothing added', async (_name, how) => {
    const connection = await talk(handshake(bearer(), `/v1/socket?${how}`));
    await ended(connection);
    const { status, body } = parseAnswer(connection.text());
    expect([status, body]).toEqual([200, 'hello']);
  });

  test('ends when its token expires', async () => {
    const nowSec = Math.floor(Date.now() / 1000);
    const short = await gateway.issuer.accessToken({ iat: nowSec - 60, exp: nowSec - 3 });
    const connection = await talk(handshake(bearer(short)));
    expect(parseAnswer(connection.text()).status).toBe(101);
    await eventually(() => expect(connection.ended()).toBe(true), 4_500);
  });

  test('ends on the other side when one side ends', async () => {
    const connection = await talk(handshake(bearer()));
    await eventually(async () =>
      expect(await (await gateway.admin('/metrics')).text()).toMatch(/^countersign_open_connections 1$/m),
    );
    connection.socket.destroy();
    await eventually(async () =>
      expect(await (await gateway.admin('/metrics')).text()).toContain('countersign_open_connections 0'),
    );
  });

  test('ends if the service reads nothing for the idle time, or the client disconnects meanwhile', async () => {
    await gateway.reload([['idle: 2s', 'idle: 300ms']]);
    const deaf = await talk(handshake(bearer(), '/v1/socket?deaf'));
    const quiet = await talk(handshake(bearer(), '/v1/socket?deaf'));
    const gone = await talk(handshake(bearer(), '/v1/socket?deaf'));
    for (const { socket } of [deaf, gone]) socket.write(Buffer.alloc(32 * 1024 * 1024));
    gone.socket.destroySoon();
    await ended(deaf);
    await eventually(async () =>
      expect(await (await gateway.admin('/metrics')).text()).toContain('countersign_open_connections 1'),
    );
    // A silent WebSocket is not stuck.
    expect(quiet.ended()).toBe(false);
    quiet.socket.destroy();
    await gateway.reload([]);
  });

  test('writes one line to the log', () => {
    const lines = gateway.log.lines().filter(({ msg, status }) => msg === 'request' && status === 101);
    expect(lines[0]).toMatchObject({
      route: 'socket',
      identity: 'user',
      upstream: 'things',
      method: 'GET',
      path: '/v1/socket',
    });
  });
});
