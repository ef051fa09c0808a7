import { scrypt } from 'node:crypto';
import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { readFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { promisify } from 'node:util';
import { eventually } from '@countersign/testing';
import { afterEach, describe, expect, test } from '@jest/globals';
import { postGuarded } from './post-guarded.ts';

const open: { server: Server; sockets: Set<Socket> }[] = [];
const sockets: DatagramSocket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) await new Promise<void>((resolve) => socket.close(resolve));
  for (const { server, sockets } of open.splice(0)) {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
});

async function port(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => sockets.add(socket));
  open.push({ server, sockets });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}
const http = (listener: RequestListener) => port(createServer(listener));
const tcp = (onConnection: (socket: Socket) => void) =>
  port(createTcpServer((socket) => onConnection(socket.on('error', () => socket.destroy()))));
const says = (bytes: string) => tcp((socket) => socket.once('data', () => socket.write(bytes)));

type Answers = Readonly<{ A?: readonly string[]; AAAA?: readonly string[] }>;

function bytesOf(address: string): Buffer {
  if (address.includes('.')) return Buffer.from(address.split('.').map(Number));
  const whole = (group: string) => group.padStart(4, '0');
  const hex = address.replaceAll(/[0-9a-f]+/g, whole).split('::');
  const [before = '', after = ''] = hex.map((part) => part.replaceAll(':', ''));
  return Buffer.from(before.padEnd(32 - after.length, '0') + after, 'hex');
}

/** A DNS server that has the same answers for every name, or never answers (RFC 1035 section 4.1). */
async function dns(answers: Answers | 'silent'): Promise<Readonly<{ server: string; asked: string[] }>> {
  const asked: string[] = [];
  const socket = createSocket('udp4');
  sockets.push(socket);
  socket.on('message', (query, from) => {
    const labels: string[] = [];
    let at = 12;
    for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
      labels.push(query.toString('latin1', at + 1, at + 1 + length));
      at += 1 + length;
    }
    const type = query.readUInt16BE(at + 1) === 28 ? 'AAAA' : 'A';
    asked.push(`${type} ${labels.join('.')}`);
    if (answers === 'silent') return;
    const records = (answers[type] ?? []).map((address) => {
      const bytes = bytesOf(address);
      const head = Buffer.from([0xc0, 12, 0, type === 'AAAA' ? 28 : 1, 0, 1, 0, 0, 0, 0, 0, bytes.length]);
      return Buffer.concat([head, bytes]);
    });
    const header = Buffer.from([0, 0, 0x81, 0x80, 0, 1, 0, records.length, 0, 0, 0, 0]);
    query.copy(header, 0, 0, 2);
    socket.send(Buffer.concat([header, query.subarray(12, at + 5), ...records]), from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return { server: `127.0.0.1:${socket.address().port}`, asked };
}

type Options = Partial<Parameters<typeof postGuarded>[0]>;
const post = (url: string, options: Options = {}) =>
  postGuarded({
    url,
    headers: { 'content-type': 'application/json' },
    body: Buffer.from('{}'),
    receivers: 'loopback',
    // Only the tests of timeouts have a shorter one.
    timeoutMs: 60_000,
    signal: new AbortController().signal,
    ...options,
  });

describe('a webhook receiver', () => {
  test('a receiver gets the request, and its status is the result', async () => {
    const seen: unknown[] = [];
    const at = await http((req, res) => {
      req
        .on('data', (data) => seen.push(String(data)))
        .on('end', () => {
          seen.push(req.method, req.url, req.headers['content-type'], req.headers['content-length']);
          res.writeHead(202).end();
        });
    });
    expect(await post(`http://127.0.0.1:${at}/a?b=c`)).toEqual({ status: 202 });
    expect(seen).toEqual(['{}', 'POST', '/a?b=c', 'application/json', '2']);
  });

  test('a redirect is not followed', async () => {
    let reached = 0;
    const inside = await http((_req, res) => {
      reached += 1;
      res.end('secret');
    });
    const at = await http((_req, res) => res.writeHead(307, { location: `http://127.0.0.1:${inside}/` }).end());
    expect(await post(`http://127.0.0.1:${at}/`)).toEqual({ status: 307 });
    expect(reached).toBe(0);
  });

  test('an endless response ends after its status', async () => {
    const at = await http((_req, res) => {
      res.writeHead(200);
      const more = () => res.destroyed || res.write('x'.repeat(65_536), () => setImmediate(more));
      more();
    });
    expect(await post(`http://127.0.0.1:${at}/`)).toEqual({ status: 200 });
  });

  test.each<[string, () => Promise<number>, string]>([
    ['accepts the connection and never responds', () => tcp(() => {}), 'timeout'],
    [
      'sends endless headers',
      () =>
        tcp((socket) => {
          const more = () =>
            socket.destroyed ||
            socket.write('', () =>
              setTimeout(() => {
                socket.write('HTTP/1.1 200 OK\r\nx: y'.charAt(0));
              }, 10),
            );
          socket.once('data', more);
        }),
      'timeout',
    ],
    [
      'sends endless informational responses',
      () =>
        tcp((socket) => {
          const more = () =>
            socket.destroyed || socket.write('HTTP/1.1 103 Early Hints\r\n\r\n', () => setImmediate(more));
          socket.once('data', more);
        }),
      'timeout',
    ],
    ['closes immediately', () => tcp((socket) => socket.destroy()), 'connection_failed'],
    [
      'disconnects in the middle of its headers',
      () => tcp((socket) => socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nx: '))),
      'connection_failed',
    ],
    ['speaks another protocol', () => says('SSH-2.0-OpenSSH_9.6\r\n'), 'bad_answer'],
    ['sends 1 MB of headers', () => says(`HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(170_000)}\r\n`), 'bad_answer'],
    [
      'upgrades the connection',
      () => says('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'),
      'bad_answer',
    ],
  ])('a receiver that %s fails', async (_what, start, failure) => {
    const options = failure === 'timeout' ? { timeoutMs: 300 } : {};
    expect(await post(`http://127.0.0.1:${await start()}/`, options)).toEqual({ failure });
  });

  test('a receiver without TLS at an https URL fails', async () => {
    const at = await http((_req, res) => res.end());
    expect(await post(`https://127.0.0.1:${at}/`)).toEqual({ failure: 'tls_failed' });
  });
});

describe('an internal address', () => {
  test.each([
    'http://127.0.0.1',
    'http://localhost',
    'http://[::1]',
    'http://169.254.169.254',
    'http://[::ffff:127.0.0.1]',
  ])('the internal address %s gets no connection', async (host) => {
    let connections = 0;
    const at = await tcp(() => {
      connections += 1;
    });
    expect(await post(`${host}:${at}/`, { receivers: 'public' })).toEqual({ failure: 'address_refused' });
    expect(connections).toBe(0);
  });
});

describe('the hostname of a receiver', () => {
  const named = async (dnsServers: string[], options: Options = {}) => {
    let connections = 0;
    const at = await http((_req, res) => {
      connections += 1;
      res.end();
    });
    const result = await post(`http://hooks.example.com:${at}/`, { dnsServers, ...options });
    return { result, connections };
  };

  test('a hostname is resolved by DNS servers, with one query for each address family', async () => {
    const { server, asked } = await dns({ A: ['127.0.0.1'] });
    expect(await named([server])).toEqual({ result: { status: 200 }, connections: 1 });
    expect(asked.toSorted()).toEqual(['A hooks.example.com', 'AAAA hooks.example.com']);
  });

  test('a hostname that also has internal addresses is reached only at the others', async () => {
    const { server } = await dns({ A: ['10.0.0.1', '169.254.169.254', '127.0.0.1'], AAAA: ['fd00::1'] });
    expect(await named([server])).toEqual({ result: { status: 200 }, connections: 1 });
  });

  test.each<[Answers]>([
    [{ A: ['127.0.0.1'] }],
    [{ AAAA: ['::1'] }],
    [{ AAAA: ['::ffff:7f00:1'] }],
    [{ A: ['10.0.0.1', '127.0.0.1'], AAAA: ['::1'] }],
  ])('a hostname that resolves only to %j gets no connection', async (answers) => {
    const { server } = await dns(answers);
    expect(await named([server], { receivers: 'public' })).toEqual({
      result: { failure: 'address_refused' },
      connections: 0,
    });
  });

  test('a hostname without an address fails to connect', async () => {
    const { server } = await dns({});
    expect(await named([server])).toEqual({ result: { failure: 'connection_failed' }, connections: 0 });
  });

  test('a hostname without a DNS response delays no other work, and times out', async () => {
    const { server, asked } = await dns('silent');
    let ended = 0;
    // More threads than libuv's pool has.
    const attempts = Array.from({ length: 8 }, async (_, n) => {
      const result = await post(`http://hooks-${n}.example.com/`, { dnsServers: [server], timeoutMs: 2_500 });
      ended += 1;
      return result;
    });
    await eventually(() => expect(asked).toHaveLength(16));
    await Promise.all(Array.from({ length: 4 }, () => readFile(import.meta.filename)));
    await promisify(scrypt)('password', 'salt', 32);
    expect(ended).toBe(0);
    expect(await Promise.all(attempts)).toEqual(Array.from({ length: 8 }, () => ({ failure: 'timeout' })));
  });

  test('a hostname must resolve within 2 s, and within the timeout of the attempt', async () => {
    const { server } = await dns('silent');
    const ended: number[] = [];
    const attempt = async (timeoutMs: number) => {
      expect(await named([server], { timeoutMs })).toEqual({ result: { failure: 'timeout' }, connections: 0 });
      ended.push(timeoutMs);
    };
    await Promise.all([60_000, 10_000, 100].map(attempt));
    // The short timeout comes before that of DNS, which ends the others together.
    expect([ended[0], ended.slice(1).toSorted((a, b) => a - b)]).toEqual([100, [10_000, 60_000]]);
  });

  test('an unanswered DNS query does not delay a shutdown', async () => {
    const { server, asked } = await dns('silent');
    const stopping = new AbortController();
    const attempt = named([server], { signal: stopping.signal, timeoutMs: 60_000 });
    await eventually(() => expect(asked).toHaveLength(2));
    stopping.abort();
    await expect(attempt).rejects.toThrow('aborted');
  });
});

test('an attempt that a shutdown aborts is not a failure of the receiver', async () => {
  const at = await tcp(() => {});
  await expect(post(`http://127.0.0.1:${at}/`, { signal: AbortSignal.abort() })).rejects.toThrow('aborted');
});
