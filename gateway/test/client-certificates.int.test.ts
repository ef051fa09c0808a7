import { createHash, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TLSSocket, connect as tlsConnect } from 'node:tls';
import { type CertificateAndKey, testAuthority } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type DpopClient, dpopClient } from './dpop-client.ts';
import { gatewayWithReplay } from './dpop-gateway.ts';
import { type GatewayUnderTest, gatewayUnderTest, parseAnswer } from './gateway-under-test.ts';

const home = mkdtempSync(join(tmpdir(), 'countersign-client-certificates-'));
const authority = testAuthority();
const clientAuthority = testAuthority('clients');
const server = authority.issue(['gateway.test']);
const client = clientAuthority.issue(['web']);
const otherClient = clientAuthority.issue(['other']);
const stranger = testAuthority('strangers').issue(['web']);
const thumbprint = ({ cert }: CertificateAndKey) =>
  createHash('sha256').update(new X509Certificate(cert).raw).digest('base64url');

beforeAll(() => {
  writeFileSync(join(home, 'tls.pem'), server.cert);
  writeFileSync(join(home, 'tls.key'), server.key);
  writeFileSync(join(home, 'clients.pem'), clientAuthority.ca);
});
afterAll(() => rmSync(home, { recursive: true }));

const listenEdits = (clients: string) =>
  [
    ['listen: {', `listen: { tls: { cert: "${home}/tls.pem", key: "${home}/tls.key"${clients} },`],
    ['http://gateway.test', 'https://gateway.test'],
  ] as const;
const listening = (clients: string) => gatewayUnderTest({ edits: listenEdits(clients) });

const ask = (gateway: GatewayUnderTest, token: string, certificate?: Partial<CertificateAndKey>) =>
  send(gateway, `Authorization: Bearer ${token}\r\n`, certificate);

async function send(gateway: GatewayUnderTest, lines: string, certificate: Partial<CertificateAndKey> = {}) {
  const socket: TLSSocket = tlsConnect({
    port: gateway.port,
    host: '127.0.0.1',
    servername: 'gateway.test',
    ca: authority.ca,
    ...certificate,
  });
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  const closed = new Promise((resolve) => socket.once('close', resolve));
  // A refused certificate ends the connection after the handshake of TLS 1.3.
  socket.on('error', () => socket.destroy());
  socket.write(
    `GET /v1/things/1 HTTP/1.1\r\nHost: gateway.test\r\n${lines}` +
      'Client-Cert: evil\r\nX-SSL-Client-Verify: evil\r\nX-Forwarded-Client-Cert: evil\r\nConnection: close\r\n\r\n',
  );
  await closed;
  const { status, code } = parseAnswer(Buffer.concat(chunks).toString('latin1'));
  return [status, code];
}

describe('a listener that asks for client certificates', () => {
  let gateway: GatewayUnderTest;
  /** As `gateway`, with a memory of used proofs. */
  let dpop: GatewayUnderTest;
  let bound: string;
  beforeAll(async () => {
    gateway = await listening(`, clients: { ca: "${home}/clients.pem" }`);
    ({ gateway: dpop } = await gatewayWithReplay({ edits: listenEdits(`, clients: { ca: "${home}/clients.pem" }`) }));
    bound = await gateway.issuer.accessToken({ cnf: { 'x5t#S256': thumbprint(client) } });
  });
  afterAll(async () => {
    await gateway.close();
    await dpop.close();
  });

  test('accepts a token that is bound to the certificate of the connection', async () => {
    const before = gateway.upstream.requests.length;
    expect(await ask(gateway, bound, client)).toEqual([200, undefined]);
    expect(gateway.upstream.requests.length).toBe(before + 1);
    expect(JSON.stringify(gateway.upstream.last().rawHeaders)).not.toContain('evil');
  });

  test.each<[string, Partial<CertificateAndKey>, string]>([
    ['without a certificate', {}, 'token_certificate_missing'],
    ['with the certificate of another client', otherClient, 'token_certificate_mismatch'],
    ['with a certificate of an unknown CA', stranger, 'token_certificate_missing'],
  ])('refuses the token %s, cached or not', async (_how, certificate, code) => {
    const before = gateway.upstream.requests.length;
    expect(await ask(gateway, bound, certificate)).toEqual([401, code]);
    expect(await ask(gateway, bound, certificate)).toEqual([401, code]);
    expect(gateway.upstream.requests.length).toBe(before);
  });

  test('accepts an unbound token without a certificate', async () => {
    expect(await ask(gateway, await gateway.issuer.accessToken())).toEqual([200, undefined]);
  });

  test.each([
    ['a binding that is too short', { 'x5t#S256': 'abc' }],
    ['SHA-1', { x5t: 'i6lGk3FZzxRcUb2C3nEQ7syHJlY' }],
    ['a binding together with an unknown one', { 'x5t#S256': thumbprint(client), kid: 'x' }],
  ])('refuses %s', async (_what, cnf) => {
    expect(await ask(gateway, await gateway.issuer.accessToken({ cnf }), client)).toEqual([
      401,
      'token_claims_invalid',
    ]);
  });

  test('refuses a token that is also bound to a DPoP key, without a proof', async () => {
    const both = { 'x5t#S256': thumbprint(client), jkt: '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I' };
    expect(await ask(gateway, await gateway.issuer.accessToken({ cnf: both }), client)).toEqual([
      401,
      'token_proof_missing',
    ]);
  });

  describe('checks both bindings of a token: the certificate and the DPoP key', () => {
    const holder = dpopClient();
    const jkt = holder.thumbprint;
    const certificateOnly = { 'x5t#S256': thumbprint(client) };
    test.each<[string, object, Partial<CertificateAndKey>, DpopClient, number, string | undefined]>([
      ['both are right', { ...certificateOnly, jkt }, client, holder, 200, undefined],
      ['no certificate', { ...certificateOnly, jkt }, {}, holder, 401, 'token_certificate_missing'],
      ['another certificate', { ...certificateOnly, jkt }, otherClient, holder, 401, 'token_certificate_mismatch'],
      [
        'a certificate of an unknown CA',
        { ...certificateOnly, jkt },
        stranger,
        holder,
        401,
        'token_certificate_missing',
      ],
      ['a proof of another key', { ...certificateOnly, jkt }, client, dpopClient(), 401, 'token_key_mismatch'],
      ['no DPoP key in the token', certificateOnly, client, holder, 401, 'token_unbound'],
      ['only a DPoP key in the token', { jkt }, {}, holder, 200, undefined],
    ])('%s', async (_how, cnf, certificate, prover, status, code) => {
      const token = await dpop.issuer.accessToken({ cnf });
      const before = dpop.upstream.requests.length;
      // Twice, because the second request finds the token in the cache.
      for (const _time of [1, 2]) {
        const proof = prover.proof({ url: 'https://gateway.test/v1/things/1', token });
        expect(await send(dpop, `Authorization: DPoP ${token}\r\nDPoP: ${proof}\r\n`, certificate)).toEqual([
          status,
          code,
        ]);
      }
      expect(dpop.upstream.requests.length).toBe(before + (status === 200 ? 2 : 0));
    });
  });
});

test('a listener that requires client certificates serves no connection without one', async () => {
  const gateway = await listening(`, clients: { ca: "${home}/clients.pem", mode: require }`);
  try {
    const token = await gateway.issuer.accessToken();
    expect(await ask(gateway, token)).toEqual([Number.NaN, undefined]);
    expect(await ask(gateway, token, stranger)).toEqual([Number.NaN, undefined]);
    expect(gateway.upstream.requests).toEqual([]);
    expect(await ask(gateway, token, client)).toEqual([200, undefined]);
  } finally {
    await gateway.close();
  }
});

test('a listener without client certificates refuses bound tokens with a separate code', async () => {
  const gateway = await listening('');
  try {
    const token = await gateway.issuer.accessToken({ cnf: { 'x5t#S256': thumbprint(client) } });
    expect(await ask(gateway, token, client)).toEqual([401, 'token_certificate_unsupported']);
    expect(gateway.upstream.requests).toEqual([]);
  } finally {
    await gateway.close();
  }
});
