import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { get } from '@countersign/http1-client';
import { type CertificateAndKey, capturingLogger, eventually, testAuthority } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OpenUpstream } from '../src/upstreams/pool/open-upstream.ts';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';
import { exampleUpstream } from './kit/example-route.ts';
import { thingsAt } from './kit/raw-service.ts';

const home = mkdtempSync(join(tmpdir(), 'countersign-tls-'));
const authority = testAuthority('services');
const clients = testAuthority('clients');

function write(name: string, text: string): string {
  const path = join(home, name);
  writeFileSync(path, text);
  return path;
}

function writePair(name: string, { cert, key }: CertificateAndKey) {
  return { cert: write(`${name}.pem`, cert), key: write(`${name}.key`, key) };
}

const ca = write('ca.pem', authority.ca);
const us = writePair('gateway', clients.issue(['gateway']));

type TlsService = { server: Server; port: number; requests: number; peers: string[] };

/** @param mutual Whether it requires a client certificate. */
async function tlsService(own: CertificateAndKey, mutual: 'mutual' | 'plain' = 'plain'): Promise<TlsService> {
  const asked = mutual === 'mutual' && { ca: clients.ca, requestCert: true, rejectUnauthorized: true };
  const server = createServer({ ...own, ...asked }, (request, response) => {
    service.requests += 1;
    const { subject } = (request.socket as TLSSocket).getPeerCertificate();
    service.peers.push(String(subject?.CN ?? ''));
    response.end('ok');
  });
  server.on('upgrade', (_request, socket) => {
    service.requests += 1;
    socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  });
  const service: TlsService = { server, port: 0, requests: 0, peers: [] };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  service.port = (server.address() as AddressInfo).port;
  return service;
}

afterAll(() => rmSync(home, { recursive: true }));

describe('an https upstream', () => {
  let services: Record<'good' | 'mutual' | 'named' | 'expired' | 'foreign', TlsService>;
  beforeAll(async () => {
    services = {
      good: await tlsService(authority.issue(['127.0.0.1'])),
      mutual: await tlsService(authority.issue(['127.0.0.1']), 'mutual'),
      named: await tlsService(authority.issue(['service.test'])),
      expired: await tlsService(authority.issue(['127.0.0.1'], 1_000)),
      foreign: await tlsService(testAuthority().issue(['127.0.0.1'])),
    };
  });
  afterAll(() => {
    for (const { server } of Object.values(services)) {
      server.close();
      server.closeAllConnections();
    }
  });

  const upgrade =
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';

  test.each<[string, keyof typeof services, string, number, string | undefined]>([
    ['whose CA is known', 'good', `tls: { ca: "${ca}" }`, 200, undefined],
    [
      'that accepts our certificate',
      'mutual',
      `tls: { ca: "${ca}", cert: "${us.cert}", key: "${us.key}" }`,
      200,
      undefined,
    ],
    ['under its own name', 'named', `tls: { ca: "${ca}", serverName: service.test }`, 200, undefined],
    ['with an unknown CA', 'good', '', 502, 'upstream_untrusted'],
    ['from another CA', 'foreign', `tls: { ca: "${ca}" }`, 502, 'upstream_untrusted'],
    ['with another name', 'named', `tls: { ca: "${ca}" }`, 502, 'upstream_untrusted'],
    ['for another server name', 'good', `tls: { ca: "${ca}", serverName: service.test }`, 502, 'upstream_untrusted'],
    ['with an expired certificate', 'expired', `tls: { ca: "${ca}" }`, 502, 'upstream_untrusted'],
    // In TLS 1.3 the server refuses after the handshake. Node.js closes the connection without an alert.
    [
      'that requires a certificate we do not send',
      'mutual',
      `tls: { ca: "${ca}" }`,
      502,
      'upstream_untrusted upstream_broken',
    ],
  ])('%s', async (_name, which, tls, status, code) => {
    const service = services[which];
    const before = service.requests;
    const gateway: GatewayUnderTest = await gatewayUnderTest({
      edits: [thingsAt([`https://127.0.0.1:${service.port}`], tls)],
    });
    const token = await gateway.issuer.accessToken();
    const answer = await gateway.ask('/v1/things/1', { token });
    expect([answer.status, code?.split(' ').includes(answer.code ?? '')]).toEqual([status, code && true]);
    const upgraded = await gateway.raw(
      `GET /v1/socket HTTP/1.1\r\n<host>\r\nAuthorization: Bearer ${token}\r\n${upgrade}\r\n`,
    );
    expect(upgraded.status).toBe(status === 200 ? 101 : status);
    expect(code?.split(' ').includes(upgraded.code ?? '')).toBe(code && true);
    expect(service.requests - before).toBe(status === 200 ? 2 : 0);
    if (which === 'mutual' && status === 200) expect(service.peers.at(-1)).toBe('gateway');
    await gateway.close();
  });

  test('that does not speak TLS is untrusted', async () => {
    const gateway = await gatewayUnderTest();
    const { port } = gateway.upstream;
    await gateway.reload([thingsAt([`https://127.0.0.1:${port}`], `tls: { ca: "${ca}" }`)]);
    const token = await gateway.issuer.accessToken();
    expect(await gateway.ask('/v1/things/1', { token })).toMatchObject({ status: 502, code: 'upstream_untrusted' });
    expect(gateway.upstream.requests).toHaveLength(0);
    await gateway.close();
  });

  test.each(['own', 'undici'] as const)(
    'is verified with the current files, or with the last good ones while those are bad, by %s',
    async (httpClient) => {
      const { port } = services.mutual;
      const mine = writePair('renewed', clients.issue(['first']));
      const log = capturingLogger();
      const opened = new OpenUpstream(
        {
          ...exampleUpstream,
          httpClient,
          targets: [`https://127.0.0.1:${port}`],
          tls: { caFile: ca, certFile: mine.cert, keyFile: mine.key, serverName: undefined },
        },
        { logger: log.logger },
      );
      const ask = async () => {
        await get(opened.choose().pool, '/', { maxBodyBytes: 100, timeoutMs: 5_000 });
        return services.mutual.peers.at(-1);
      };
      expect(await ask()).toBe('first');
      writePair('renewed', clients.issue(['second']));
      opened.tls?.reload();
      expect(await ask()).toBe('second');
      for (const bad of ['', 'nonsense', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n']) {
        write('renewed.pem', bad);
        opened.tls?.reload();
        expect(opened.tls?.failure()).toContain('renewed.pem');
        expect(await ask()).toBe('second');
      }
      // A certificate without its key is an unfinished renewal.
      write('renewed.pem', clients.issue(['third']).cert);
      opened.tls?.reload();
      expect([opened.tls?.failure() !== undefined, await ask()]).toEqual([true, 'second']);
      writePair('renewed', clients.issue(['fourth']));
      opened.tls?.reload();
      await eventually(async () => expect([opened.tls?.failure(), await ask()]).toEqual([undefined, 'fourth']));
      expect(log.text()).toContain('the last valid ones stay in use');
      expect(log.text()).not.toContain('PRIVATE KEY');
      await opened.stop();
    },
  );
});
