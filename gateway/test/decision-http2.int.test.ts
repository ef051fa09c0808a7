import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type ClientHttp2Session, constants } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { type CertificateAndKey, testAuthority } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { checkRequest, framed, openSession, sendFrame } from './check-client.ts';
import { decisionAt, decisionFor, decisionOverTls } from './decision-edits.ts';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';

const home = mkdtempSync(join(tmpdir(), 'countersign-decision-http2-'));
afterAll(() => rmSync(home, { recursive: true }));

const routes = `
  - { name: things, path: "/v1/things/**", methods: [GET], upstream: things, auth: required }
`;
const trusting = (proxy: string) => decisionFor(`${proxy}, trust: loopback`);

const check = async (session: ClientHttp2Session, gateway: GatewayUnderTest) => {
  const headers = [['authorization', `Bearer ${await gateway.issuer.accessToken()}`]] as const;
  return (await sendFrame(session, framed(checkRequest({ headers })))).code;
};

/** One frame of HTTP/2. */
function frameOf(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

describe('a listener for Envoy', () => {
  let gateway: GatewayUnderTest;
  let steady: ClientHttp2Session;
  const port = () => gateway.running.ports.decision ?? 0;
  const url = () => `http://127.0.0.1:${port()}`;

  beforeAll(async () => {
    gateway = await gatewayUnderTest({
      routes,
      edits: [decisionAt('127.0.0.1:0'), trusting('envoy')],
      listenerTimes: { headMs: 300 },
    });
    steady = await openSession(url());
  });
  afterAll(async () => {
    await gateway.close();
    expect(steady.closed).toBe(true);
  });

  async function raw(): Promise<Socket> {
    const socket = connect(port(), '127.0.0.1');
    socket.on('error', () => {});
    socket.resume();
    await once(socket, 'connect');
    return socket;
  }
  const closed = async (socket: Socket) => {
    if (!socket.closed) await once(socket, 'close');
  };

  test('HTTP/1.1 is served on the same address, also byte by byte', async () => {
    const head =
      'GET /decide/v1/things/1 HTTP/1.1\r\nHost: gateway.test\r\nX-Forwarded-Proto: https\r\n' +
      'X-Forwarded-For: 192.0.2.7\r\nConnection: close\r\n';
    const socket = await raw();
    let answer = '';
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString();
    });
    const ended = once(socket, 'end');
    for (const byte of head.slice(0, 8)) {
      socket.write(byte);
      await after(2);
    }
    socket.write(`${head.slice(8)}Authorization: Bearer ${await gateway.issuer.accessToken()}\r\n\r\n`);
    await ended;
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(answer).toContain('signature: countersign=:');
  });

  test.each([
    ['nothing', ''],
    ['a part of the preface', 'PR'],
    ['no preface after all', 'PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n'],
    ['the preface and no more', 'PRI * HTTP/2.0\r\n\r\n'],
  ])('a client that sends %s is closed in time, and others are served', async (_, bytes) => {
    const socket = await raw();
    socket.write(bytes);
    expect(await check(steady, gateway)).toBe(0);
    socket.end();
    await closed(socket);
  });

  test('a client that sends nothing loses its connection', async () => {
    await closed(await raw());
    expect(await check(steady, gateway)).toBe(0);
  });

  test('a rapid reset loses its connection, and others are served', async () => {
    const attack = await openSession(url());
    const over = new Promise((resolve) => attack.on('close', resolve));
    for (let burst = 0; burst < 100 && !attack.closed; burst += 1) {
      for (let sent = 0; sent < 100; sent += 1) {
        const stream = attack.request({ ':method': 'POST', ':path': '/envoy.service.auth.v3.Authorization/Check' });
        stream.on('error', () => {});
        stream.close(constants.NGHTTP2_CANCEL);
      }
      await after(1);
      if (burst % 20 === 0) expect(await check(steady, gateway)).toBe(0);
    }
    await over;
    expect(await check(steady, gateway)).toBe(0);
    const again = await openSession(url());
    expect(await check(again, gateway)).toBe(0);
    again.close();
  });

  test('a flood of CONTINUATION frames loses its connection, and others are served', async () => {
    const socket = await raw();
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    socket.write(frameOf(4, 0, 0, Buffer.alloc(0)));
    // The literal header "a: b", never followed by END_HEADERS.
    const header = Buffer.from([0, 1, 0x61, 1, 0x62]);
    socket.write(frameOf(1, 0, 1, header));
    for (let sent = 0; sent < 5_000 && socket.writable; sent += 1) socket.write(frameOf(9, 0, 1, header));
    expect(await check(steady, gateway)).toBe(0);
    await closed(socket);
  });

  test('long headers are refused, and others are served', async () => {
    const attack = await openSession(url());
    const stream = attack.request({ ':method': 'POST', ':path': '/', ...longHeaders(60) });
    stream
      .on('error', () => {})
      .resume()
      .end();
    await new Promise((resolve) => stream.on('close', resolve));
    expect(stream.rstCode).not.toBe(constants.NGHTTP2_NO_ERROR);
    expect(await check(steady, gateway)).toBe(0);
    attack.destroy();
  });

  test('the proxy may ask for many decisions concurrently', async () => {
    const codes = await Promise.all(Array.from({ length: 200 }, () => check(steady, gateway)));
    expect(new Set(codes)).toEqual(new Set([0]));
  });
});

const longHeaders = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, at) => [`x-long-${at}`, 'v'.repeat(1_000)]));

test('a reload that names another proxy ends HTTP/2, and its return brings it back', async () => {
  const edits = (proxy: string) => [decisionAt('127.0.0.1:0'), trusting(proxy)] as const;
  const gateway = await gatewayUnderTest({ routes, edits: edits('nginx') });
  const url = `http://127.0.0.1:${gateway.running.ports.decision}`;
  await expect(openSession(url)).rejects.toThrow();
  await gateway.reload(edits('envoy'));
  const session = await openSession(url);
  expect(await check(session, gateway)).toBe(0);
  await gateway.reload(edits('nginx'));
  const ended = new Promise((resolve) => session.on('close', resolve));
  session
    .request({ ':method': 'POST', ':path': '/' })
    .on('error', () => {})
    .end();
  await ended;
  await gateway.close();
});

test('over TLS the proxy chooses HTTP/2, and its certificate is the proof', async () => {
  const { edits, proxies, tls } = decisionOverTls(home, 'envoy');
  const gateway = await gatewayUnderTest({ routes, edits });
  const ask = async (certificate: Partial<CertificateAndKey>) => {
    const url = `https://127.0.0.1:${gateway.running.ports.decision}`;
    const session = await openSession(url, { ...tls, ...certificate });
    const headers = [['authorization', `Bearer ${await gateway.issuer.accessToken()}`]] as const;
    const { code, denied } = await sendFrame(session, framed(checkRequest({ headers })));
    session.close();
    return [code, denied?.status];
  };
  expect(await ask(proxies.issue(['envoy']))).toEqual([0, undefined]);
  expect(await ask({})).toEqual([7, 503]);
  expect(await ask(testAuthority('strangers').issue(['envoy']))).toEqual([7, 503]);
  await gateway.close();
});

test('a Unix socket is its own proof', async () => {
  const path = join(home, 'run', 'decision.sock');
  const gateway = await gatewayUnderTest({
    routes,
    edits: [decisionAt(`unix:${path}`), decisionFor('envoy')],
  });
  const session = await openSession('http://gateway.test', { createConnection: () => connect(path) });
  expect(await check(session, gateway)).toBe(0);
  session.close();
  await gateway.close();
});
