import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo, Server, Socket } from 'node:net';
import { PassThrough, Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '@countersign/testing';
import { afterEach, describe, expect } from '@jest/globals';
import { onBoth } from './contract/on-both.ts';
import { type OpenClient, openClient, type Settings } from './contract/open-client.ts';
import { type Spoiling, serviceInOtherThread } from './contract/other-thread.ts';
import { answers, type Script, type ScriptedService, scriptedService } from './contract/scripted-service.ts';
import { undiciFails } from './contract/undici-fails.ts';

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const okChunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n';
const hints = 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n';
const continued = 'HTTP/1.1 100 Continue\r\n\r\n';

const test = onBoth(undiciFails);

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

function open(origin: string, settings?: Settings): OpenClient {
  const opened = openClient(test.client(), origin, settings);
  cleanups.push(() => opened.close());
  return opened;
}

async function serve(script: Script, settings?: Settings, listen?: (server: Server) => void) {
  const service: ScriptedService = await scriptedService(script, listen);
  cleanups.push(() => service.close());
  const client = open(service.origin, settings);
  const ask = (path = '/') => client.send({ path }).outcome;
  return { service, client, ask };
}

test('writes the given head with its own Host and framing, and reads names and values as sent', async () => {
  const answer = 'HTTP/1.1 201 Made\r\nX-Case: a\r\nx-case:  caf\xe9\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n';
  const { service, client } = await serve(answers(answer));
  const { outcome } = client.send({
    method: 'PUT',
    path: '/a?b=%20',
    headers: ['X-Mixed', '1', 'x-mixed', 'caf\xe9'],
    body: Buffer.from('12345'),
  });
  expect(await outcome).toEqual({
    status: 201,
    headers: ['X-Case', 'a', 'x-case', 'caf\xe9', 'X-Empty', '', 'Content-Length', '0'],
    body: '',
    trailers: [],
  });
  const [line, ...lines] = service.heads[0]?.split('\r\n') ?? [];
  expect(line).toBe('PUT /a?b=%20 HTTP/1.1');
  expect(lines.sort()).toEqual(
    [
      `host: 127.0.0.1:${service.port}`,
      'connection: keep-alive',
      'X-Mixed: 1',
      'x-mixed: caf\xe9',
      'content-length: 5',
    ].sort(),
  );
  expect(service.received(0)).toMatch(/\r\n\r\n12345$/);
});

describe('a response', () => {
  test.each<[name: string, bytes: string, body: string]>([
    ['with a length', ok, 'ok'],
    ['in chunks', okChunked, 'ok'],
    [
      'in upper-case hexadecimal chunks',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n0A\r\n0123456789\r\n000\r\n\r\n',
      '0123456789',
    ],
    ['with a chunk extension', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\n\r\n', 'ok'],
    ['with an empty body', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', ''],
    ['without a reason', 'HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok', 'ok'],
    ['without a body', 'HTTP/1.1 204 No Content\r\n\r\n', ''],
    ['in HTTP/1.0 with keep-alive', 'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok', 'ok'],
    ['after early hints', hints + ok, 'ok'],
    ['in chunks, with a tab after another value', okChunked.replace('\r\n', '\r\nX-A: b\t\r\n'), 'ok'],
  ])('%s is read, whole or byte by byte, and its connection is reused', async (_name, bytes, body) => {
    for (const isSlow of [false, true]) {
      const { service, ask } = await serve((socket) => {
        if (isSlow) void writeSlowly(socket, bytes);
        else socket.write(bytes, 'latin1');
      });
      for (let count = 0; count < 3; count += 1) expect(await ask()).toMatchObject({ body, trailers: [] });
      expect(service.connections).toHaveLength(1);
    }
  });

  test.each<[name: string, bytes: string, body: string]>([
    ['that lasts until the end of the connection', 'HTTP/1.1 200 OK\r\n\r\nall of it', 'all of it'],
    ['in HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok', 'ok'],
    ['that closes', 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok', 'ok'],
    ['that closes among other options', 'HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nok', 'ok'],
  ])('%s is read, and its connection is not reused', async (_name, bytes, body) => {
    const { service, ask } = await serve((socket) => void socket.end(bytes, 'latin1'));
    for (let count = 1; count <= 2; count += 1) {
      expect(await ask()).toMatchObject({ status: 200, body });
      expect(service.connections).toHaveLength(count);
    }
  });

  const empty: [method: string, bytes: string][] = [
    ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n'],
    ['HEAD', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 60\r\n\r\n'],
  ];
  test.each(empty)('to %s that announces a body has none, and its connection is reused: %j', async (method, bytes) => {
    const { service, client, ask } = await serve(
      (socket, head) => void socket.write(head.startsWith('GET /ok') ? ok : bytes),
    );
    for (let count = 0; count < 2; count += 1) {
      expect(await client.send({ method }).outcome).toMatchObject({ body: '', trailers: [] });
    }
    expect(service.connections).toHaveLength(2);
    await delay(1_500);
    // If no unexpected body arrives, the connections are reused after a second.
    await ask('/ok');
    expect(service.connections).toHaveLength(2);
  });

  test.each(empty)('to %s with a forbidden body does not answer the next request: %j', async (method, bytes) => {
    const evil = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil';
    const { client } = await serve(
      (socket) => void socket.write(bytes, () => setTimeout(() => socket.write(evil), 20)),
    );
    for (let count = 0; count < 10; count += 1) {
      expect((await client.send({ method }).outcome).body).toBe('');
      await delay(5);
    }
  });

  test('to HEAD does not block the only connection', async () => {
    const { service, client, ask } = await serve(answers('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'), {
      maxConnections: 1,
    });
    expect(await client.send({ method: 'HEAD' }).outcome).toMatchObject({ status: 200 });
    expect(await ask()).toMatchObject({ status: 200 });
    expect(service.connections).toHaveLength(2);
  });

  test.each([[1], [9]])('may follow %i early hints', async (count) => {
    const { ask } = await serve(answers(continued.repeat(9 - count) + hints.repeat(count) + ok));
    expect(await ask()).toMatchObject({ status: 200, body: 'ok' });
  });

  test('may have trailers', async () => {
    const { ask } = await serve(answers(okChunked.replace('0\r\n\r\n', '0\r\nx-sum: 1\r\n\r\n')));
    expect(await ask()).toMatchObject({ body: 'ok', trailers: ['x-sum', '1'] });
  });

  test('with 8 MiB is not read faster than its consumer reads it', async () => {
    const bytes = 8 * 1024 * 1024;
    let sender: Socket | undefined;
    const { client } = await serve((socket) => {
      sender = socket;
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${bytes}\r\n\r\n`);
      socket.write(Buffer.alloc(bytes, 'a'));
    });
    let read = 0;
    let pauses = 0;
    const sent = client.send({
      onData(chunk) {
        read += chunk.length;
        pauses += 1;
        if (pauses > 1) setImmediate(sent.resume);
        return false;
      },
    });
    await eventually(() => expect(pauses).toBe(1));
    const waiting = await settled(() => sender?.writableLength);
    expect(waiting).toBeGreaterThan(bytes / 8);
    expect(read).toBeLessThanOrEqual(128 * 1024);
    sent.resume();
    expect((await sent.outcome).body).toHaveLength(bytes);
  });
});

describe('an invalid response', () => {
  test.each<[name: string, bytes: string]>([
    ['another protocol', 'SSH-2.0-OpenSSH\r\n'],
    ['HTTP/0.9', '<html>hello</html>'],
    ['HTTP/2.0', ok.replace('1.1', '2.0')],
    ['HTTP/1.2', ok.replace('1.1', '1.2')],
    ['a status below 100', ok.replace('200', '099')],
    ['a two-digit status', ok.replace('200', '20')],
    ['a four-digit status', ok.replace('200', '2000')],
    ['a length and chunks', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['chunks and then a length', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!'],
    ['the same length twice', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok'],
    ['a list of lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok'],
    ['a word as the length', 'HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok'],
    ['an empty length', 'HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok'],
    ['a signed length', 'HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok'],
    ['a negative length', 'HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok'],
    ['a hexadecimal length', 'HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok'],
    ['an enormous length', `HTTP/1.1 200 OK\r\nContent-Length: ${'9'.repeat(30)}\r\n\r\nok`],
    ['two codings', okChunked.replace('chunked', 'gzip, chunked')],
    ['chunked twice', okChunked.replace('chunked', 'chunked, chunked')],
    ['chunked before another coding', okChunked.replace('chunked', 'chunked, gzip')],
    ['an unknown coding', okChunked.replace('chunked', 'x')],
    ['an empty coding', okChunked.replace('chunked', '')],
    ['a coding with a vertical tab', okChunked.replace('chunked', '\x0bchunked')],
    ['a transfer coding in HTTP/1.0', okChunked.replace('1.1', '1.0')],
    ['a transfer coding in a 204', okChunked.replace('200 OK', '204 No')],
    ['a transfer coding in a 103', `HTTP/1.1 103 Early\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${ok}`],
    ['a line that ends with LF only', ok.replace('OK\r\n', 'OK\n')],
    ['a CR inside a value', ok.replace('\r\n\r\n', '\r\nX-A: b\rc\r\n\r\n')],
    ['an LF inside a value', ok.replace('\r\n\r\n', '\r\nX-A: b\nX-B: c\r\n\r\n')],
    ['a NUL inside a value', ok.replace('\r\n\r\n', '\r\nX-A: b\0c\r\n\r\n')],
    ['a NUL inside the reason', ok.replace('OK', 'O\0K')],
    ['a folded line', ok.replace('\r\n\r\n', '\r\nX-A: b\r\n c: d\r\n\r\n')],
    ['a line that begins with a space', ok.replace('OK\r\n', 'OK\r\n X-A: b\r\n')],
    ['a space before a colon', ok.replace('\r\n\r\n', '\r\nX-A : b\r\n\r\n')],
    ['a line without a colon', ok.replace('\r\n\r\n', '\r\nX-A\r\n\r\n')],
    ['a line without a name', ok.replace('\r\n\r\n', '\r\n: b\r\n\r\n')],
    ['a name that is not a token', ok.replace('\r\n\r\n', '\r\nX(A): b\r\n\r\n')],
    ['a chunk size that is not a number', okChunked.replace('2\r\nok', 'zz\r\nok')],
    ['a signed chunk size', okChunked.replace('2\r\nok', '+2\r\nok')],
    ['a chunk size with a space', okChunked.replace('2\r\nok', '2 \r\nok')],
    ['a chunk size with 0x', okChunked.replace('2\r\nok', '0x2\r\nok')],
    ['an enormous chunk size', okChunked.replace('2\r\nok', `${'f'.repeat(17)}\r\nok`)],
    ['an endless chunk extension', okChunked.replace('2\r\nok', `2;${'a'.repeat(20_000)}\r\nok`)],
    ['a chunk line that ends with LF only', okChunked.replace('2\r\nok', '2\nok')],
    ['a chunk that is longer than its size', okChunked.replace('ok', 'oks')],
    ['endless headers', `HTTP/1.1 200 OK\r\n${'X-A: aaaaaaaaaaaaaaaaaaaaaaaa\r\n'.repeat(2_000)}`],
    ['one endless header', `HTTP/1.1 200 OK\r\nX-A: ${'a'.repeat(64 * 1024)}`],
    ['an endless reason', `HTTP/1.1 200 ${'a'.repeat(64 * 1024)}`],
    ['endless trailers', okChunked.replace('0\r\n\r\n', `0\r\n${'X-A: aaaaaaaaaaaaaaaaaaaaaaaa\r\n'.repeat(2_000)}`)],
    ['a length in the trailers', okChunked.replace('0\r\n\r\n', '0\r\nContent-Length: 2\r\n\r\n')],
    ['a protocol switch', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'],
    ['a 101 without Upgrade', 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
    ['ten informational responses', hints.repeat(10) + ok],
    ['only informational responses', hints.repeat(1_000)],
  ])('with %s is refused, whole or byte by byte, and its connection is not reused', async (_name, bytes) => {
    for (const isSlow of [false, bytes.length < 1_000]) {
      let isEvil = true;
      const { service, ask } = await serve(
        (socket) => {
          if (!isEvil) socket.write(ok);
          else if (isSlow) void writeSlowly(socket, bytes);
          else socket.write(bytes, 'latin1');
        },
        { headMs: 200, bodyMs: 200 },
      );
      expect(await ask()).toMatchObject({ failure: 'invalid' });
      isEvil = false;
      expect(await ask()).toMatchObject({ status: 200, body: 'ok' });
      expect(service.connections).toHaveLength(2);
    }
  });
});

describe('a response that ends too early', () => {
  const length = 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf!';
  const chunks = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf!\r\n';
  const untilClose = 'HTTP/1.1 200 OK\r\n\r\nhalf!';
  const end = (socket: Socket) => void socket.end();
  const reset = (socket: Socket) => void socket.resetAndDestroy();
  test.each<[name: string, bytes: string, finish: (socket: Socket) => void, failure: string]>([
    ['before its head, closed', '', end, 'closed'],
    ['before its head, reset', '', reset, 'closed'],
    ['in its status line, closed', 'HTTP/1.1 20', end, 'closed'],
    ['in its headers, closed', 'HTTP/1.1 200 OK\r\nX-A: b', end, 'closed'],
    ['in a body with a length, closed', length, end, 'closed'],
    ['in a body with a length, reset', length, reset, 'closed'],
    ['in a body with a length, silent', length, () => {}, 'timeout'],
    ['in chunks, closed', chunks, end, 'closed'],
    ['in chunks, reset', chunks, reset, 'closed'],
    ['in chunks, silent', chunks, () => {}, 'timeout'],
    ['in trailers, closed', `${chunks}0\r\nX-A: b\r\n`, end, 'closed'],
    ['in a body that lasts until the end, reset', untilClose, reset, 'closed'],
    ['in a body that lasts until the end, silent', untilClose, () => {}, 'timeout'],
    ['before its head, silent', '', () => {}, 'timeout'],
  ])('%s is an error', async (_name, bytes, finish, failure) => {
    let sender: Socket | undefined;
    const { client } = await serve(
      (socket) => {
        sender = socket;
        if (bytes === '') finish(socket);
        else socket.write(bytes, () => bytes.includes('half!') || finish(socket));
      },
      { headMs: 300, bodyMs: 300 },
    );
    const { outcome } = client.send({
      onData() {
        if (sender !== undefined) finish(sender);
        return true;
      },
    });
    const got = await outcome;
    expect(got.failure).toBe(failure);
    expect(got.trailers).toBeUndefined();
  });
});

describe('an idle connection', () => {
  test.each<[name: string, how: Spoiling]>([
    ['that the service closed', 'end'],
    ['that the service reset', 'reset'],
    ['on which an unrequested response arrived', 'response'],
    ['on which a byte arrived', 'byte'],
  ])('%s is not used, even if this process has not noticed yet', async (_name, how) => {
    const service = await serviceInOtherThread();
    cleanups.push(() => service.close());
    const client = open(service.origin);
    expect(await client.send().outcome).toMatchObject({ body: 'ok' });
    await new Promise(setImmediate);
    service.spoil(how);
    // POST, because the gateway would not send it again.
    const outcome = await client.send({ method: 'POST', body: Buffer.from('a') }).outcome;
    expect([outcome.status, outcome.body, service.connections()]).toEqual([200, 'ok', 2]);
  });

  test('is closed if bytes follow a response in the same packet, and those bytes are never read as a response', async () => {
    const evil = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil';
    const { service, ask } = await serve((socket) => void socket.write(ok + evil));
    for (let count = 1; count <= 3; count += 1) {
      expect((await ask()).body).toBe('ok');
      await eventually(() => expect(service.connections).toHaveLength(count));
    }
  });

  test('is closed at least a second before `Keep-Alive: timeout` ends', async () => {
    const { service, ask } = await serve(answers(ok.replace('\r\n\r\n', '\r\nKeep-Alive: timeout=3\r\n\r\n')));
    await ask();
    await ask();
    expect(service.connections).toHaveLength(1);
    const idleAt = performance.now();
    await once(service.connections[0] as Socket, 'end');
    expect(performance.now() - idleAt).toBeLessThan(2_500);
  });

  test('is not used at all with `Keep-Alive: timeout=1`', async () => {
    const { service, ask } = await serve(answers(ok.replace('\r\n\r\n', '\r\nKeep-Alive: max=5, timeout=1\r\n\r\n')));
    await ask();
    await ask();
    expect(service.connections).toHaveLength(2);
  });

  test('is closed after the idle timeout', async () => {
    const { service, ask } = await serve(answers(ok), { idleMs: 200 });
    await ask();
    await once(service.connections[0] as Socket, 'end');
    expect(await ask()).toMatchObject({ body: 'ok' });
    expect(service.connections).toHaveLength(2);
  });

  test('is not used if the idle timeout passed while the event loop was blocked', async () => {
    const { service, ask } = await serve(answers(ok), { idleMs: 300 });
    await ask();
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
    await new Promise((resolve) => setTimeout(resolve, 1));
    expect(await ask()).toMatchObject({ body: 'ok' });
    expect(service.connections).toHaveLength(2);
  });
});

describe('the queue', () => {
  test('uses at most `maxConnections`, with one request at a time on each', async () => {
    const waiting: Socket[] = [];
    const { service, ask } = await serve((socket) => void waiting.push(socket), { maxConnections: 2 });
    const outcomes = ['/1', '/2', '/3', '/4', '/5'].map((path) => ask(path));
    await eventually(() => expect(waiting).toHaveLength(2));
    for (let answered = 0; answered < 5; answered += 1) {
      await eventually(() => expect(waiting.length).toBeGreaterThan(0));
      expect(service.heads.length).toBeLessThanOrEqual(answered + 2);
      waiting.shift()?.write(ok);
    }
    for (const outcome of await Promise.all(outcomes)) expect(outcome).toMatchObject({ body: 'ok' });
    expect(service.connections).toHaveLength(2);
    expect(service.heads.map((head) => head.split(' ')[1]).sort()).toEqual(['/1', '/2', '/3', '/4', '/5']);
  });

  test('opens another connection for a waiting request if one breaks', async () => {
    const { service, ask } = await serve(
      (socket, _head, count) => {
        if (count === 1) socket.destroy();
        else socket.write(ok);
      },
      { maxConnections: 1 },
    );
    const [broken, next] = await Promise.all([ask('/1'), ask('/2')]);
    expect(broken).toMatchObject({ failure: 'closed' });
    expect(next).toMatchObject({ body: 'ok' });
    expect(service.connections).toHaveLength(2);
  });

  test('drops an aborted request', async () => {
    let first: Socket | undefined;
    const { service, client, ask } = await serve(
      (socket, _head, count) => {
        if (count === 1) first = socket;
        else socket.write(ok);
      },
      { maxConnections: 1 },
    );
    const slow = ask('/slow');
    await eventually(() => expect(first).toBeDefined());
    const dropped = client.send({ path: '/dropped' });
    const reason = new Error('not wanted');
    dropped.abort(reason);
    expect((await dropped.outcome).error).toBe(reason);
    first?.write(ok);
    await slow;
    expect(await ask('/next')).toMatchObject({ body: 'ok' });
    expect(service.heads.map((head) => head.split(' ')[1])).toEqual(['/slow', '/next']);
  });
});

describe('an upload', () => {
  const upload = (client: OpenClient, body: Readable, bodyLength?: number) =>
    client.send({ method: 'POST', body, ...(bodyLength !== undefined && { bodyLength }) });

  test('is sent in chunks, or unchanged if its length is known', async () => {
    const { service, client } = await serve((socket, _head, count) => {
      const isWhole = () => service.received(0).endsWith(count === 1 ? '0\r\n\r\n' : 'again');
      void eventually(() => expect(isWhole()).toBe(true)).then(() => socket.write(ok));
    });
    await upload(client, Readable.from([Buffer.from('hello, '), Buffer.from('world')])).outcome;
    expect(service.received(0)).toMatch(
      /transfer-encoding: chunked[\s\S]*\r\n\r\n7\r\nhello, \r\n5\r\nworld\r\n0\r\n\r\n$/,
    );
    await new Promise(setImmediate);
    await upload(client, Readable.from([Buffer.from('aga'), Buffer.from('in')]), 5).outcome;
    expect(service.received(0)).toMatch(/content-length: 5[\s\S]*\r\n\r\nagain$/);
    expect(service.connections).toHaveLength(1);
  });

  test('has no header timeout while it is being sent', async () => {
    const body = new PassThrough();
    let last = 0;
    const { client } = await serve(
      (socket) =>
        void socket.on('data', (chunk) => {
          if (!chunk.toString('latin1').endsWith('0\r\n\r\n')) return;
          last = performance.now();
          socket.write(ok);
        }),
      { headMs: 250 },
    );
    const startedAt = performance.now();
    const { outcome } = upload(client, body);
    for (let count = 0; count < 8; count += 1) {
      body.write('more');
      await delay(100);
    }
    body.end();
    expect(await outcome).toMatchObject({ body: 'ok' });
    expect(last - startedAt).toBeGreaterThan(700);
  });

  test('has a header timeout after its end, and while the service does not read it', async () => {
    const { client } = await serve((socket, head) => void (head.startsWith('POST /unread') && socket.pause()), {
      headMs: 300,
    });
    expect(await upload(client, Readable.from([Buffer.from('all')])).outcome).toMatchObject({
      failure: 'timeout',
    });
    const endless = Readable.from(
      (function* () {
        for (;;) yield Buffer.alloc(64 * 1024);
      })(),
    );
    const unread = client.send({ method: 'POST', path: '/unread', body: endless });
    expect(await unread.outcome).toMatchObject({ failure: 'timeout' });
    await eventually(() => expect(endless.destroyed).toBe(true));
  });

  test('ends after an early response, which arrives completely, and its connection closes', async () => {
    const { service, client, ask } = await serve(
      (socket, head) => void socket.write(head.startsWith('POST') ? ok.replace('200', '413') : ok),
    );
    const body = new PassThrough();
    body.write('first');
    const { outcome } = upload(client, body, 1_000_000);
    expect(await outcome).toMatchObject({ status: 413, body: 'ok' });
    await eventually(() => expect(body.destroyed).toBe(true));
    await eventually(() =>
      expect(service.connections[0]?.readableEnded || service.connections[0]?.destroyed).toBe(true),
    );
    expect(await ask()).toMatchObject({ status: 200 });
    expect(service.connections).toHaveLength(2);
    expect(service.received(0)).not.toContain('GET');
  });

  test('is read as fast as the service accepts it', async () => {
    let receiver: Socket | undefined;
    const { client } = await serve(
      (socket) => {
        receiver = socket;
        socket.pause();
      },
      { headMs: 30_000 },
    );
    const total = 16 * 1024 * 1024;
    let produced = 0;
    const body = new Readable({
      read() {
        produced += 64 * 1024;
        this.push(produced > total ? null : Buffer.alloc(64 * 1024));
      },
    });
    const { outcome } = upload(client, body, total);
    await eventually(() => expect(receiver).toBeDefined());
    expect(await settled(() => produced)).toBeLessThan(total - 1024 * 1024);
    let isAnswered = false;
    receiver?.on('data', () => {
      if (isAnswered || (receiver?.bytesRead ?? 0) < total) return;
      isAnswered = true;
      receiver?.write(ok);
    });
    receiver?.resume();
    expect(await outcome).toMatchObject({ body: 'ok' });
  });

  test.each<[name: string, length: number]>([
    ['longer', 3],
    ['shorter', 8],
  ])('that is %s than announced fails, and its connection carries no further request', async (_name, length) => {
    const { service, client, ask } = await serve((socket, head) => void (head.startsWith('GET') && socket.write(ok)));
    const { failure, error } = await upload(client, Readable.from([Buffer.from('hello')]), length).outcome;
    expect([failure, error]).toEqual(['other', expect.any(Error)]);
    expect(await ask()).toMatchObject({ status: 200 });
    const posts = service.connections
      .map((_, index) => service.received(index))
      .filter((text) => text.startsWith('POST'));
    for (const text of posts) expect(text).toMatch(/\r\n\r\n(hello)?$/);
    for (const text of posts) expect(text).not.toContain('GET');
  });

  test('whose source fails ends the exchange with that error, and the service sees the connection close', async () => {
    const { service, client } = await serve(() => {});
    const body = new PassThrough();
    body.write('first');
    const { outcome } = upload(client, body);
    await eventually(() => expect(service.heads).toHaveLength(1));
    const failure = new Error('the client is gone');
    body.destroy(failure);
    expect((await outcome).error).toBe(failure);
    await eventually(() =>
      expect(service.connections[0]?.readableEnded || service.connections[0]?.destroyed).toBe(true),
    );
    expect(service.received(0)).not.toMatch(/0\r\n\r\n$/);
  });
});

describe('the body timeout', () => {
  test('does not apply while the consumer pauses', async () => {
    const { client } = await serve(
      (socket) =>
        void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst', () =>
          setTimeout(() => socket.write('again'), 100),
        ),
      { bodyMs: 250 },
    );
    const sent = client.send({
      onData() {
        setTimeout(sent.resume, 700);
        return false;
      },
    });
    expect(await sent.outcome).toMatchObject({ body: 'firstagain', trailers: [] });
  });

  test.each([[100], [500]])('applies again after a pause of %i ms', async (pauseMs) => {
    const { client } = await serve(
      (socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst'),
      { bodyMs: 250 },
    );
    const sent = client.send({
      onData() {
        setTimeout(sent.resume, pauseMs);
        return false;
      },
    });
    expect(await sent.outcome).toMatchObject({ body: 'first', failure: 'timeout' });
  });
});

describe('an exchange', () => {
  test.each([['before'], ['after']])(
    'that is aborted %s the head ends with the reason, and its connection closes',
    async (when) => {
      const { service, client } = await serve(
        (socket) => void (when === 'after' && socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nha')),
      );
      const reason = new Error('the client left');
      let parts = 0;
      const sent = client.send({
        onData() {
          parts += 1;
          return true;
        },
      });
      await eventually(() => expect([service.heads.length, parts]).toEqual([1, when === 'after' ? 1 : 0]));
      sent.abort(reason);
      expect((await sent.outcome).error).toBe(reason);
      await eventually(() => expect(service.connections[0]?.readableEnded).toBe(true));
    },
  );

  test('whose consumer throws ends with that error, and its connection closes', async () => {
    const { service, client } = await serve(answers(ok));
    const failure = new Error('refused');
    const { outcome } = client.send({
      onHead() {
        throw failure;
      },
    });
    expect((await outcome).error).toBe(failure);
    await eventually(() => expect(service.connections[0]?.readableEnded).toBe(true));
  });

  test.each<readonly [name: string, request: { path?: string; method?: string; headers?: readonly string[] }]>([
    ['a CR LF in a value', { headers: ['x-a', 'b\r\nx-user-id: evil'] }],
    ['an LF in a value', { headers: ['x-a', 'b\nc'] }],
    ['a CR in a value', { headers: ['x-a', 'b\rc'] }],
    ['a NUL in a value', { headers: ['x-a', 'b\0c'] }],
    ['a character that Latin-1 cuts to an LF', { headers: ['x-a', 'b\u010ac'] }],
    ['an LF in a name', { headers: ['x-a\nx-b', 'c'] }],
    ['a colon in a name', { headers: ['x-a:', 'c'] }],
    ['an LF in the path', { path: '/a\nb' }],
    ['a space in the path', { path: '/a HTTP/1.1\r\n\r\nGET /b' }],
    ['a CR LF in the method', { method: 'GET /b HTTP/1.1\r\n\r\nGET' }],
    ['a Content-Length', { headers: ['content-length', '5'] }],
    ['a Transfer-Encoding', { headers: ['Transfer-Encoding', 'chunked'] }],
  ])('with %s is refused, and nothing arrives', async (_name, request) => {
    const { service, client, ask } = await serve(answers(ok));
    const { error } = await client.send(request).outcome;
    expect(error).toMatchObject({ code: expect.stringMatching(/^(UPSTREAM_INVALID_REQUEST|UND_ERR_INVALID_ARG)$/) });
    expect(await ask('/good')).toMatchObject({ body: 'ok' });
    expect(service.heads.map((head) => head.split(' ')[1])).toEqual(['/good']);
  });
});

describe('connecting', () => {
  test('to a closed port is unreachable', async () => {
    const { service } = await serve(() => {});
    service.close();
    const { failure } = await open(service.origin).send().outcome;
    expect(failure).toBe('unreachable');
  });

  test('tries the addresses of both IP families', async () => {
    const server = createHttpServer((_request, response) => void response.end('ok')).listen(0, '127.0.0.1');
    cleanups.push(() => server.close());
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    expect(await open(`http://localhost:${port}`).send().outcome).toMatchObject({ status: 200, body: 'ok' });
  });

  test('reaches an IPv6 address', async () => {
    const { service } = await serve(answers(ok), {}, (server) => server.listen(0, '::1'));
    expect(await open(`http://[::1]:${service.port}`).send().outcome).toMatchObject({ status: 200, body: 'ok' });
    expect(service.heads[0]).toContain(`host: [::1]:${service.port}`);
  });

  test('stops when its exchange is aborted', async () => {
    const { service, client, ask } = await serve(answers(ok));
    const aborted = client.send({ path: '/aborted' });
    aborted.abort(new Error('gone'));
    expect(await ask('/next')).toMatchObject({ body: 'ok' });
    expect(await aborted.outcome).toMatchObject({ failure: 'other' });
    expect(service.heads.map((head) => head.split(' ')[1])).toEqual(['/next']);
  });
});

async function writeSlowly(socket: Socket, bytes: string): Promise<void> {
  socket.setNoDelay(true);
  for (const byte of bytes) {
    await new Promise((resolve) => socket.write(byte, 'latin1', resolve));
    await new Promise(setImmediate);
  }
}

/** @returns The value once it no longer changes. */
async function settled<T>(value: () => T): Promise<T> {
  let before = value();
  let same = 0;
  while (same < 5) {
    await delay(20);
    const now = value();
    same = now === before ? same + 1 : 0;
    before = now;
  }
  return before;
}
