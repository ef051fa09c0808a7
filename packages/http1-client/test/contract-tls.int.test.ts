import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { createServer as createTlsServer, type SecureVersion, type TLSSocket } from 'node:tls';
import { type CertificateAndKey, testAuthority } from '@countersign/testing';
import { afterEach, describe, expect } from '@jest/globals';
import { onBoth } from './contract/on-both.ts';
import { type OpenClient, openClient, type Settings, type TlsSettings } from './contract/open-client.ts';
import { undiciFailsWithTls } from './contract/undici-fails.ts';

const authority = testAuthority('services');
const clients = testAuthority('clients');
const { ca } = authority;
const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

type Script = (socket: TLSSocket, count: number) => void;
type TlsService = Readonly<{
  origin: string;
  connections: readonly TLSSocket[];
  /** The names in client certificates, and whether sessions were resumed, by connection. */
  peers: readonly string[];
  resumed: readonly boolean[];
}>;
type ServeOptions = Readonly<{ own?: CertificateAndKey; isMutual?: boolean; maxVersion?: SecureVersion }>;

const test = onBoth(undiciFailsWithTls);

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

async function listen(server: Server): Promise<string> {
  // Closes TCP under TLS too. `allowHalfOpen` keeps a connection open after a failed handshake, even without its peer.
  const sockets: Socket[] = [];
  server.on('connection', (socket) => void sockets.push(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function serve(script: Script, options: ServeOptions = {}): Promise<TlsService> {
  const { own = authority.issue(['127.0.0.1']), isMutual = false, maxVersion = 'TLSv1.3' } = options;
  const connections: TLSSocket[] = [];
  const peers: string[] = [];
  const resumed: boolean[] = [];
  const mutual = isMutual && { ca: clients.ca, requestCert: true, rejectUnauthorized: true };
  const server = createTlsServer({ ...own, ...mutual, maxVersion, allowHalfOpen: true }, (socket) => {
    connections.push(socket);
    peers.push(String(socket.getPeerCertificate().subject?.CN ?? ''));
    resumed.push(socket.isSessionReused());
    let count = 0;
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      if (!chunk.toString('latin1').includes('HTTP/1.1')) return;
      count += 1;
      script(socket, count);
    });
  });
  server.on('tlsClientError', () => {});
  const origin = await listen(server);
  cleanups.push(() => connections.forEach((socket) => void socket.destroy()));
  return { origin, connections, peers, resumed };
}

function open(origin: string, tls: TlsSettings = { ca }, settings: Settings = {}): OpenClient {
  const opened = openClient(test.client(), origin, { tls: () => tls, ...settings });
  cleanups.push(() => opened.close());
  return opened;
}

const answer: Script = (socket) => void socket.write(ok);

test('requests and uploads reach a service with a known CA, on one connection', async () => {
  const service = await serve(answer);
  const client = open(service.origin);
  for (let count = 0; count < 3; count += 1) {
    expect(await client.send().outcome).toMatchObject({ status: 200, body: 'ok' });
  }
  const body = Readable.from([Buffer.from('streamed')]);
  expect(await client.send({ method: 'POST', body }).outcome).toMatchObject({ status: 200, body: 'ok' });
  expect(service.connections).toHaveLength(1);
});

const own = (names: readonly string[], validMs?: number) => ({ own: authority.issue(names, validMs) });
const us = clients.issue(['gateway']);
test.each<[name: string, options: ServeOptions, tls: TlsSettings, failure: string | undefined]>([
  [
    'with another name, if that name is configured',
    own(['service.test']),
    { ca, servername: 'service.test' },
    undefined,
  ],
  ['that accepts our certificate', { isMutual: true }, { ca, ...us }, undefined],
  ['with an unknown CA', {}, {}, 'untrusted'],
  ['with another CA', {}, { ca: testAuthority().ca }, 'untrusted'],
  ['with another name', own(['service.test']), { ca }, 'untrusted'],
  ['for another server name', {}, { ca, servername: 'service.test' }, 'untrusted'],
  ['with an expired certificate', own(['127.0.0.1'], 1_000), { ca }, 'untrusted'],
  ['that requires a certificate', { isMutual: true, maxVersion: 'TLSv1.2' }, { ca }, 'untrusted'],
])('a service %s', async (_name, options, tls, failure) => {
  const service = await serve(answer, options);
  const outcome = await open(service.origin, tls).send().outcome;
  expect(outcome.failure).toBe(failure);
  if (failure === undefined) expect(outcome).toMatchObject({ status: 200, body: 'ok' });
  if (options.isMutual && failure === undefined) expect(service.peers).toEqual(['gateway']);
});

test('a service that requires a certificate in TLS 1.3 refuses it after the request was sent', async () => {
  const { origin } = await serve(answer, { isMutual: true });
  const { failure } = await open(origin).send().outcome;
  expect(['untrusted', 'closed']).toContain(failure);
});

test('a service that does not speak TLS is untrusted, and a silent one times out', async () => {
  const plain = await listen(
    createServer((socket) => void socket.on('error', () => {}).end('HTTP/1.1 400 No\r\n\r\n')),
  );
  expect(await open(plain).send().outcome).toMatchObject({ failure: 'untrusted' });
  const silent = await listen(createServer((socket) => void cleanups.push(() => socket.destroy())));
  const outcome = await open(silent, { ca }, { connectMs: 200 }).send().outcome;
  expect(outcome).toMatchObject({ failure: 'timeout' });
});

test.each<[SecureVersion]>([['TLSv1.2'], ['TLSv1.3']])(
  'a new connection resumes the session, %s',
  async (maxVersion) => {
    const service = await serve((socket) => void socket.end(ok.replace('OK', 'OK\r\nConnection: close')), {
      maxVersion,
    });
    const client = open(service.origin);
    for (let count = 0; count < 2; count += 1) expect(await client.send().outcome).toMatchObject({ body: 'ok' });
    expect(service.resumed).toEqual([false, true]);
  },
);

test('changed certificates apply to new connections, without the old session', async () => {
  const service = await serve(answer, { isMutual: true });
  const files = [clients.issue(['first']), clients.issue(['second'])].map((pair) => ({ ca, ...pair }));
  let current = files[0] as TlsSettings;
  const client = open(service.origin, undefined, { tls: () => current });
  expect(await client.send().outcome).toMatchObject({ body: 'ok' });
  current = files[1] as TlsSettings;
  expect(await client.send().outcome).toMatchObject({ body: 'ok' });
  expect(service.peers).toEqual(['first', 'second']);
  expect(service.resumed.includes(true)).toBe(false);
});

describe.each<SecureVersion>(['TLSv1.2', 'TLSv1.3'])('a body until the end of the connection, %s', (maxVersion) => {
  const head = 'HTTP/1.1 200 OK\r\n\r\n';
  const parts = ['all of it', 'a', 'ok', 'x'.repeat(100_000), 'y'.repeat(16 * 1024)];
  /** Sends each part in its own record, then ends. */
  const sendParts = (socket: TLSSocket, all: readonly string[], end: () => void) => {
    const [part, ...rest] = all;
    if (part === undefined) end();
    else socket.write(part, () => sendParts(socket, rest, end));
  };

  test.each(parts.map((part) => [part]))('is complete with close_notify (ends with a record %#)', async (last) => {
    const service = await serve((socket) => sendParts(socket, [head, 'first', last], () => void socket.end()), {
      maxVersion,
    });
    const outcome = await open(service.origin).send().outcome;
    expect([outcome.body === `first${last}`, outcome.trailers, outcome.failure]).toEqual([true, [], undefined]);
  });

  test.each(parts.map((part) => [part]))('is an error without close_notify (ends with a record %#)', async (last) => {
    const service = await serve((socket) => sendParts(socket, [head, 'first', last], () => void socket.destroy()), {
      maxVersion,
    });
    const { failure, trailers } = await open(service.origin).send().outcome;
    expect([failure, trailers]).toEqual(['closed', undefined]);
  });

  test.each([['close_notify'], ['a bare FIN']])('arrives byte by byte and ends with %s', async (end) => {
    const isClean = end === 'close_notify';
    const finish = (socket: TLSSocket) => void (isClean ? socket.end() : socket.destroy());
    const service = await serve((socket) => sendParts(socket, [head, 'first', 'ok'], () => finish(socket)), {
      maxVersion,
    });
    const { outcome } = open(await listen(slowly(service.origin))).send();
    expect(await outcome).toMatchObject(isClean ? { body: 'firstok', trailers: [] } : { failure: 'closed' });
  });

  test('of 4 MiB, with pauses, is complete with close_notify', async () => {
    const large = 'z'.repeat(4 * 1024 * 1024);
    const service = await serve((socket) => sendParts(socket, [head, large, 'ok'], () => void socket.end()), {
      maxVersion,
    });
    const sent = open(service.origin).send({
      onData() {
        setImmediate(sent.resume);
        return false;
      },
    });
    const { body, trailers } = await sent.outcome;
    expect([body.length, trailers]).toEqual([large.length + 2, []]);
  });

  test('is an error if a record was truncated', async () => {
    const service = await serve((socket) => sendParts(socket, [head, 'x'.repeat(10_000)], () => {}), { maxVersion });
    const { outcome } = open(await listen(cutAfter(service.origin, 5_000))).send();
    expect(await outcome).toMatchObject({ failure: 'closed' });
  });
});

test('a body with a length is an error if it ends early, with or without close_notify', async () => {
  for (const end of ['end', 'destroy'] as const) {
    const service = await serve((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf!', () => void socket[end]());
    });
    expect(await open(service.origin).send().outcome).toMatchObject({ failure: 'closed' });
  }
});

/** Passes on the service's bytes one by one. */
function slowly(origin: string): Server {
  return through(origin, async (bytes, write) => {
    for (const byte of bytes) {
      write(Buffer.from([byte]));
      await new Promise(setImmediate);
    }
  });
}

/** Passes on about this many of the service's bytes, then ends without a reset. */
function cutAfter(origin: string, most: number): Server {
  let passed = 0;
  return through(origin, async (bytes, write, end) => {
    write(bytes.subarray(0, Math.max(0, most - passed)));
    passed += bytes.length;
    if (passed >= most) end();
  });
}

function through(
  origin: string,
  pass: (bytes: Buffer, write: (bytes: Buffer) => void, end: () => void) => Promise<void>,
): Server {
  return createServer({ noDelay: true }, (near) => {
    const far = connect(Number(new URL(origin).port), '127.0.0.1');
    let order = Promise.resolve();
    near
      .on('data', (bytes) => far.write(bytes))
      .on('error', () => far.destroy())
      .on('close', () => far.destroy());
    far.on('error', () => near.destroy());
    far.on('data', (bytes: Buffer) => {
      order = order.then(() =>
        pass(
          bytes,
          (some) => void near.write(some),
          () => void near.end(),
        ),
      );
    });
    far.on('end', () => {
      order = order.then(() => void near.end());
    });
  });
}
