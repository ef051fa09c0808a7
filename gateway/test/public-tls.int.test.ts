import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, type TLSSocket, connect as tlsConnect } from 'node:tls';
import { type CertificateAndKey, eventually, testAuthority } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type GatewayUnderTest, gatewayUnderTest, parseAnswer } from './gateway-under-test.ts';

const home = mkdtempSync(join(tmpdir(), 'countersign-public-tls-'));
const authority = testAuthority();
afterAll(() => rmSync(home, { recursive: true }));

function write({ cert, key }: CertificateAndKey): void {
  writeFileSync(join(home, 'tls.pem'), cert);
  writeFileSync(join(home, 'tls.key'), key);
}

const edits = [
  ['listen: {', `listen: { tls: { cert: "${home}/tls.pem", key: "${home}/tls.key" },`],
  ['http://gateway.test', 'https://gateway.test'],
] as const;

describe('the public listener with a certificate', () => {
  let gateway: GatewayUnderTest;
  let token: string;
  const first = authority.issue(['gateway.test']);
  beforeAll(async () => {
    write(first);
    gateway = await gatewayUnderTest({
      edits,
      upstream: {
        upgrade: (_request, socket) =>
          socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello'),
      },
      reloadTiming: { checkEveryMs: 50 },
    });
    token = await gateway.issuer.accessToken();
  });
  afterAll(() => gateway.close());

  async function open(options: ConnectionOptions = {}): Promise<TLSSocket> {
    const trusting = { port: gateway.port, host: '127.0.0.1', servername: 'gateway.test', ca: authority.ca };
    const socket = tlsConnect({ ...trusting, ...options });
    await once(socket, 'secureConnect');
    return socket;
  }
  async function ask(lines: string, options: ConnectionOptions = {}) {
    const socket = await open(options);
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.write(lines);
    await once(socket, 'close');
    return parseAnswer(Buffer.concat(chunks).toString('latin1'));
  }
  const get = (headers = '') =>
    `GET /v1/things/1 HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n${headers}\r\n`;

  test.each(['TLSv1.2', 'TLSv1.3'] as const)('speaks %s, and sends x-forwarded-proto: https', async (version) => {
    const answer = await ask(get('X-Forwarded-Proto: http\r\n'), { minVersion: version, maxVersion: version });
    expect(answer.status).toBe(200);
    expect(gateway.upstream.last().headers).toMatchObject({ 'x-forwarded-proto': 'https', 'x-identity': 'user' });
  });

  test.each<[name: string, options: ConnectionOptions, code: string]>([
    [
      'TLS 1.1',
      { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
      'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
    ],
    ['HTTP/2 alone', { ALPNProtocols: ['h2'] }, 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL'],
  ])('does not speak %s', async (_name, options, code) => {
    await expect(open(options)).rejects.toMatchObject({ code });
  });

  test('closes plain HTTP connections, and continues to serve', async () => {
    const before = gateway.upstream.requests.length;
    const socket = connect(gateway.port, '127.0.0.1');
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => {});
    socket.write(get());
    await once(socket, 'close');
    expect(Buffer.concat(chunks).toString('latin1')).not.toContain('HTTP/1.1');
    expect(gateway.upstream.requests.length).toBe(before);
    expect((await ask(get())).status).toBe(200);
  });

  test('parses requests as strictly', async () => {
    const { status, code } = await ask(get().replace('\r\n', '\n'));
    expect([status, code]).toEqual([400, 'invalid_request']);
  });

  test('carries WebSockets', async () => {
    const upgrade = `GET /v1/socket HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer ${token}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`;
    const answer = await ask(upgrade);
    expect([answer.status, answer.body]).toEqual([101, 'hello']);
    expect(gateway.upstream.last().headers).toMatchObject({ 'x-forwarded-proto': 'https', upgrade: 'websocket' });
  });

  test('closes a connection whose handshake or request does not finish', async () => {
    // Short only here, because on a busy machine a good handshake may take as long.
    const impatient = await gatewayUnderTest({ edits, listenerTimes: { headMs: 500, checkEveryMs: 50 } });
    const { port } = impatient;
    const silent = connect(port, '127.0.0.1').on('error', () => {});
    const closed = once(silent, 'close');
    const handshake = async () => {
      const greeted = await open({ port });
      greeted.on('error', () => {}).write('GET /v1/things/1 HTTP/1.1\r\n');
      greeted.resume();
      await once(greeted, 'close');
    };
    await Promise.all([closed, eventually(handshake)]);
    expect(impatient.upstream.requests).toEqual([]);
    await impatient.close();
  });

  test('uses a renewed certificate for new connections, and keeps the last valid one if the files are invalid', async () => {
    const fingerprint = async () => {
      const socket = await open();
      const { fingerprint256 } = socket.getPeerCertificate();
      socket.destroy();
      return fingerprint256;
    };
    const metric = async (name: string) =>
      new RegExp(`^${name} (\\S+)$`, 'm').exec(await (await gateway.admin('/metrics')).text())?.[1];
    const old = await open();
    const shownFirst = old.getPeerCertificate().fingerprint256;
    old.write(get().replace('Connection: close\r\n', ''));
    await once(old, 'data');
    expect(await fingerprint()).toBe(shownFirst);

    const renewed = authority.issue(['gateway.test']);
    write({ cert: renewed.cert, key: first.key });
    await eventually(async () => expect(await metric('countersign_config_last_reload_successful')).toBe('0'));
    expect(gateway.log.text()).toContain('is not the key of the first certificate');
    expect(await fingerprint()).toBe(shownFirst);

    write(renewed);
    await eventually(async () => expect(await fingerprint()).not.toBe(shownFirst));
    expect(await metric('countersign_config_last_reload_successful')).toBe('1');
    expect(Number(await metric('countersign_certificate_expires_timestamp_seconds'))).toBeGreaterThan(
      Date.now() / 1000,
    );
    // An existing connection continues.
    const chunks: Buffer[] = [];
    old.on('data', (chunk: Buffer) => chunks.push(chunk)).write(get());
    await once(old, 'close');
    expect(parseAnswer(Buffer.concat(chunks).toString('latin1')).status).toBe(200);
  });

  test('switches to a certificate in other files while it runs', async () => {
    const moved = authority.issue(['gateway.test']);
    writeFileSync(join(home, 'moved.pem'), moved.cert);
    writeFileSync(join(home, 'moved.key'), moved.key);
    const before = await open();
    writeFileSync(gateway.file, gateway.yaml.replace('/tls.pem', '/moved.pem').replace('/tls.key', '/moved.key'));
    expect((await gateway.running.reload()).refused).toBeUndefined();
    const shown = await open();
    expect(shown.getPeerCertificate().fingerprint256).not.toBe(before.getPeerCertificate().fingerprint256);
    for (const socket of [before, shown]) socket.destroy();
    writeFileSync(gateway.file, gateway.yaml);
    expect((await gateway.running.reload()).refused).toBeUndefined();
  });

  test('refuses to switch between TLS and plain HTTP while it runs', async () => {
    const withoutTls = gateway.yaml.replace(/tls: \{[^}]*\},/, '');
    writeFileSync(gateway.file, withoutTls);
    const { refused } = await gateway.running.reload();
    expect(refused?.problems.join()).toMatch(/listen: cannot change while the gateway runs/);
    expect((await ask(get())).status).toBe(200);
    writeFileSync(gateway.file, gateway.yaml);
    expect((await gateway.running.reload()).refused).toBeUndefined();
  });

  test('never logs or serves its key', async () => {
    const config = await (await gateway.admin('/config')).text();
    for (const line of first.key.split('\n').filter((text) => text.length > 40)) {
      expect(gateway.log.text()).not.toContain(line);
      expect(config).not.toContain(line);
    }
  });
});
