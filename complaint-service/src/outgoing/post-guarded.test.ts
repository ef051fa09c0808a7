import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { postGuarded } from './post-guarded.ts';

const open: { server: Server; sockets: Set<Socket> }[] = [];
afterEach(async () => {
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

type Options = Partial<Parameters<typeof postGuarded>[0]>;
const post = (url: string, options: Options = {}) =>
  postGuarded({
    url,
    headers: { 'content-type': 'application/json' },
    body: Buffer.from('{}'),
    reach: 'loopback',
    timeoutMs: 300,
    signal: new AbortController().signal,
    ...options,
  });

describe('a receiver', () => {
  test('gets the request, and its status is the result', async () => {
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

  test('that redirects is not followed', async () => {
    let reached = 0;
    const inside = await http((_req, res) => {
      reached += 1;
      res.end('secret');
    });
    const at = await http((_req, res) => res.writeHead(307, { location: `http://127.0.0.1:${inside}/` }).end());
    expect(await post(`http://127.0.0.1:${at}/`)).toEqual({ status: 307 });
    expect(reached).toBe(0);
  });

  test('whose answer never ends is done with its status', async () => {
    const at = await http((_req, res) => {
      res.writeHead(200);
      const more = () => res.destroyed || res.write('x'.repeat(65_536), () => setImmediate(more));
      more();
    });
    expect(await post(`http://127.0.0.1:${at}/`, { timeoutMs: 5_000 })).toEqual({ status: 200 });
  });

  test.each<[string, () => Promise<number>, string]>([
    ['accepts and never answers', () => tcp(() => {}), 'timeout'],
    [
      'sends its headers without an end',
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
      'sends one 100 Continue after the other',
      () =>
        tcp((socket) => {
          const more = () =>
            socket.destroyed || socket.write('HTTP/1.1 103 Early Hints\r\n\r\n', () => setImmediate(more));
          socket.once('data', more);
        }),
      'timeout',
    ],
    ['closes at once', () => tcp((socket) => socket.destroy()), 'connection_failed'],
    [
      'dies in the middle of its headers',
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
  ])('that %s is a failure', async (_what, start, failure) => {
    expect(await post(`http://127.0.0.1:${await start()}/`)).toEqual({ failure });
  });

  test('without TLS behind an https URL is a failure', async () => {
    const at = await http((_req, res) => res.end());
    expect(await post(`https://127.0.0.1:${at}/`)).toEqual({ failure: 'tls_failed' });
  });
});

describe('an address inside', () => {
  test.each([
    'http://127.0.0.1',
    'http://localhost',
    'http://[::1]',
    'http://169.254.169.254',
    'http://[::ffff:127.0.0.1]',
  ])('%s gets no connection', async (host) => {
    let connections = 0;
    const at = await tcp(() => {
      connections += 1;
    });
    expect(await post(`${host}:${at}/`, { reach: 'public' })).toEqual({ failure: 'address_refused' });
    expect(connections).toBe(0);
  });
});

test('an attempt that the process ends says nothing about the receiver', async () => {
  const at = await tcp(() => {});
  await expect(post(`http://127.0.0.1:${at}/`, { signal: AbortSignal.abort() })).rejects.toThrow('aborted');
});
