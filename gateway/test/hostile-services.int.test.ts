import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { eventually, mintIssuer } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type GatewayUnderTest, gatewayUnderTest, parseAnswer } from './gateway-under-test.ts';
import { type RawService, rawService, thingsAt } from './kit/raw-service.ts';

const good = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const unasked = 'HTTP/1.1 100 Continue\r\n\r\n';
const hints = 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n';

/** Writes the pieces one by one, each in its own packet. */
function write(socket: Socket, ...pieces: readonly string[]): void {
  const [piece, ...rest] = pieces;
  if (piece === undefined) return;
  socket.write(piece, 'latin1', () => setImmediate(() => write(socket, ...rest)));
}

/** Calls `call` when the other side has closed or reset the socket. */
function whenOver(socket: Socket, call: () => void): void {
  socket.once('end', call).once('close', call);
}

describe('a misbehaving service', () => {
  let service: RawService;
  let gateway: GatewayUnderTest;
  let token: string;
  beforeAll(async () => {
    service = await rawService();
    gateway = await gatewayUnderTest({
      edits: [
        thingsAt([service.url], 'retry: { attempts: 1 }'),
        ['response: 2s, idle: 2s', 'response: 800ms, idle: 800ms'],
      ],
    });
    token = await gateway.issuer.accessToken();
  });
  afterAll(async () => {
    await gateway.close();
    await service.close();
  });

  const request = (method = 'GET', path = '/v1/things/1', extra = '', body = '') =>
    `${method} ${path} HTTP/1.1\r\n<host>\r\nAuthorization: Bearer ${token}\r\n${extra}${body === '' ? '' : `Content-Length: ${body.length}\r\n`}<close>\r\n\r\n${body}`;
  const ask = (method?: string, body?: string) => gateway.raw(request(method, '/v1/things/1', '', body));
  /** Expects that the next request to the service succeeds. */
  async function expectRecovered() {
    service.answerWith((socket) => socket.write(good));
    for (let count = 0; count < 3; count += 1) {
      const { status, body } = await ask();
      expect([status, body]).toEqual([200, 'ok']);
    }
  }

  test.each<[string, (socket: Socket) => void, number, string]>([
    ['closes at once', (socket) => socket.end(), 502, 'upstream_broken'],
    ['resets at once', (socket) => socket.resetAndDestroy(), 502, 'upstream_broken'],
    ['closes its half and sends nothing', (socket) => socket.end(), 502, 'upstream_broken'],
    ['sends nothing', () => {}, 504, 'upstream_timeout'],
    [
      'sends a part of its head, then nothing',
      (socket) => write(socket, 'HTTP/1.1 2', '00 OK\r\n', 'X-A'),
      504,
      'upstream_timeout',
    ],
    ['ends in its status line', (socket) => socket.end('HTTP/1.1 20'), 502, 'upstream_broken'],
    ['ends in its headers', (socket) => socket.end('HTTP/1.1 200 OK\r\nX-A: b'), 502, 'upstream_broken'],
    ['speaks another protocol', (socket) => socket.end('SSH-2.0-OpenSSH\r\n'), 502, 'upstream_invalid_response'],
    ['sends HTTP/0.9', (socket) => socket.end('<html>hello</html>'), 502, 'upstream_invalid_response'],
    [
      'sends HTTP/2',
      (socket) => socket.end(Buffer.from('00001204000000000000030000006400', 'hex')),
      502,
      'upstream_invalid_response',
    ],
    ['sends an invalid status', (socket) => socket.end('HTTP/1.1 99 Hm\r\n\r\n'), 502, 'upstream_invalid_response'],
    ['sends a word as its status', (socket) => socket.end('HTTP/1.1 OK\r\n\r\n'), 502, 'upstream_invalid_response'],
    [
      'sends length and chunks',
      (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'),
      502,
      'upstream_invalid_response',
    ],
    [
      'sends chunks and length',
      (socket) => socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n'),
      502,
      'upstream_invalid_response',
    ],
    [
      'sends another transfer coding',
      (socket) => socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n'),
      502,
      'upstream_invalid_response',
    ],
    [
      'sends two lengths',
      (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!'),
      502,
      'upstream_invalid_response',
    ],
    [
      'sends a word as its length',
      (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok'),
      502,
      'upstream_invalid_response',
    ],
    [
      'sends a negative length',
      (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok'),
      502,
      'upstream_invalid_response',
    ],
    [
      'folds a header',
      (socket) => socket.end('HTTP/1.1 200 OK\r\nX-A: b\r\n c: d\r\nContent-Length: 0\r\n\r\n'),
      502,
      'upstream_invalid_response',
    ],
    [
      'puts a NUL into a header',
      (socket) => socket.end('HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 0\r\n\r\n'),
      502,
      'upstream_invalid_response',
    ],
    [
      'puts a space before a colon',
      (socket) => socket.end('HTTP/1.1 200 OK\r\nX-A : b\r\nContent-Length: 0\r\n\r\n'),
      502,
      'upstream_invalid_response',
    ],
    [
      'sends endless headers',
      (socket) => socket.end(`HTTP/1.1 200 OK\r\n${'X-A: aaaaaaaaaaaaaaaaaaaaaaaa\r\n'.repeat(2000)}`),
      502,
      'upstream_invalid_response',
    ],
    [
      'sends one endless header',
      (socket) => socket.end(`HTTP/1.1 200 OK\r\nX-A: ${'a'.repeat(64 * 1024)}`),
      502,
      'upstream_invalid_response',
    ],
    [
      'switches protocols unasked',
      (socket) => socket.end('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'),
      502,
      'upstream_invalid_response',
    ],
    ['sends only early hints', (socket) => socket.write(hints.repeat(1000)), 502, 'upstream_invalid_response'],
    ['sends only 100 Continue', (socket) => socket.write(unasked.repeat(1000)), 502, 'upstream_invalid_response'],
    ['sends 100 Continue, and then nothing', (socket) => socket.write(unasked), 504, 'upstream_timeout'],
    ['sends early hints, and then nothing', (socket) => socket.write(hints), 504, 'upstream_timeout'],
  ])('that %s is 502 or 504, and the next request succeeds', async (_name, misbehave, status, code) => {
    service.answerWith(misbehave);
    const answered = await ask('POST', 'a');
    expect([answered.status, answered.code]).toEqual([status, code]);
    expect(answered.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
    expect(answered.body).not.toMatch(/127\.0\.0\.1|ECONN|undici|HPE_/);
    await expectRecovered();
  });

  test('that resets late, and then sends nothing, makes no client wait for two timeouts', async () => {
    const answered: string[] = [];
    const both = Promise.withResolvers<void>();
    const askAs = async (name: string) => {
      const { status, code } = await ask();
      expect([status, code]).toEqual([504, 'upstream_timeout']);
      answered.push(name);
    };
    service.answerWith((first) => {
      service.answerWith(() => {
        // A request that begins with the second attempt has the whole timeout, and so ends after it.
        service.answerWith(() => {});
        void askAs('fresh').then(both.resolve, both.reject);
      });
      setTimeout(() => first.resetAndDestroy(), 700);
    });
    await askAs('repeated');
    await both.promise;
    expect(answered).toEqual(['repeated', 'fresh']);
    await expectRecovered();
  });

  test.each<[string, readonly string[], string]>([
    ['sends an unrequested 100 Continue', [unasked, good], 'ok'],
    ['sends 100 Continue in the same packet', [unasked + good], 'ok'],
    ['sends 100 Continue several times', [unasked, unasked + unasked, good], 'ok'],
    ['sends 100 Continue byte by byte', [...(unasked + good)], 'ok'],
    ['sends 100 Continue with headers', ['HTTP/1.1 100 Continue\r\nX-User-Id: evil\r\n\r\n', good], 'ok'],
    ['sends 100 Continue, then early hints', [unasked, hints, good], 'ok'],
    ['sends early hints', [hints, good], 'ok'],
    [
      'sends a body that looks like a 100 Continue',
      [`HTTP/1.1 200 OK\r\nContent-Length: ${unasked.length}\r\n\r\n`, unasked],
      unasked,
    ],
  ])('is answered completely when it %s', async (_name, pieces, body) => {
    service.answerWith((socket) => write(socket, ...pieces));
    for (const method of ['GET', 'POST']) {
      const answered = await ask(method, method === 'POST' ? 'a' : '');
      expect([answered.status, answered.body]).toEqual([200, body]);
      expect(answered.text).not.toMatch(/100 Continue\r\n|evil/.test(body) ? /evil/ : /HTTP\/1.1 100|evil/);
    }
    await expectRecovered();
  });

  test.each<[string, string, (socket: Socket) => void]>([
    ['a length, closed', 'Content-Length: 10\r\n', (socket) => socket.end()],
    ['a length, reset', 'Content-Length: 10\r\n', (socket) => socket.resetAndDestroy()],
    ['a length, silent', 'Content-Length: 10\r\n', () => {}],
    ['chunks, closed', 'Transfer-Encoding: chunked\r\n', (socket) => socket.end()],
    ['chunks, reset', 'Transfer-Encoding: chunked\r\n', (socket) => socket.resetAndDestroy()],
    ['chunks, malformed', 'Transfer-Encoding: chunked\r\n', (socket) => socket.end('zz\r\n')],
    ['chunks, silent', 'Transfer-Encoding: chunked\r\n', () => {}],
    ['the end of the connection, reset', '', (socket) => socket.resetAndDestroy()],
    ['the end of the connection, silent', '', () => {}],
  ])('never makes a partial answer look complete: %s', async (_name, framing, end) => {
    service.answerWith((socket) => {
      const half = framing.startsWith('Transfer') ? '5\r\nhalf!\r\n' : 'half!';
      // The client receives the first half in every case.
      socket.write(`HTTP/1.1 200 OK\r\n${framing}\r\n${half}`, () => void arrived.then(() => end(socket)));
    });
    const client = connect(gateway.port, '127.0.0.1');
    client.on('error', () => client.destroy());
    let text = '';
    const arrived = new Promise<void>((resolve) => {
      client.on('data', (chunk) => {
        text += chunk;
        if (text.includes('half!')) resolve();
      });
    });
    client.write(request().replace('<host>', 'Host: gateway.test').replace('<close>', 'Connection: close'));
    await once(client, 'close');
    expect(text).toContain('half!');
    const { headers, body } = parseAnswer(text);
    if (headers['content-length'] !== undefined) expect(body.length).toBeLessThan(Number(headers['content-length']));
    else expect(text).not.toMatch(/0\r\n\r\n$/);
    await expectRecovered();
  });

  test('resets the connection of an HTTP/1.0 client after a partial answer', async () => {
    service.answerWith((socket) => {
      socket.write(
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf!\r\n',
        () => void arrived.then(() => socket.end()),
      );
    });
    const client = connect(gateway.port, '127.0.0.1');
    const arrived = once(client, 'data');
    const failed = once(client, 'error');
    client.write(`GET /v1/open/1 HTTP/1.0\r\nHost: gateway.test\r\n\r\n`);
    expect(await failed).toMatchObject([{ code: 'ECONNRESET' }]);
    expect(String(await arrived)).toMatch(/half!$/);
    await expectRecovered();
  });

  test.each(['Content-Length: 2\r\n\r\n', 'Transfer-Encoding: chunked\r\n\r\n'])(
    'that pauses after the head: the client gets the head immediately (%j)',
    async (rest) => {
      let finish = () => {};
      service.answerWith((socket) => {
        socket.write(`HTTP/1.1 200 OK\r\nX-Head: here\r\n${rest}`);
        finish = () => socket.write(rest.startsWith('C') ? 'ok' : '2\r\nok\r\n0\r\n\r\n');
      });
      const client = connect(gateway.port, '127.0.0.1');
      client.write(request().replace('<host>', 'Host: gateway.test').replace('<close>', 'Connection: close'));
      expect(String(await once(client, 'data'))).toContain('X-Head: here');
      finish();
      expect(String(await once(client, 'data'))).toContain('ok');
      client.destroy();
      await expectRecovered();
    },
  );

  test('whose answer ends with its connection is forwarded completely', async () => {
    service.answerWith((socket) => socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it'));
    const { status, body, text } = await ask();
    expect([status, body]).toEqual([200, 'all of it']);
    expect(text).toMatch(/0\r\n\r\n$/);
  });

  test.each(['HEAD', 'GET'])(
    'that sends a forbidden body, to %s: no later request gets it as an answer',
    async (method) => {
      service.answerWith((socket) =>
        write(
          socket,
          method === 'HEAD'
            ? 'HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n'
            : 'HTTP/1.1 304 Not Modified\r\nContent-Length: 60\r\n\r\n',
          'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil',
        ),
      );
      for (let count = 0; count < 5; count += 1) {
        const { status, body } = await ask(method);
        expect([status, body]).toEqual([method === 'HEAD' ? 200 : 304, '']);
      }
      await expectRecovered();
    },
  );

  test('that sends a length for an empty answer: the client does not wait for a body', async () => {
    service.answerWith((socket) => socket.write('HTTP/1.1 204 No Content\r\nContent-Length: 5\r\nX-A: b\r\n\r\n'));
    const { status, headers } = await ask();
    expect([status, headers['x-a'], headers['content-length'], headers['transfer-encoding']]).toEqual([
      204,
      'b',
      undefined,
      undefined,
    ]);
    await expectRecovered();
  });

  test('discards an answer on an idle connection', async () => {
    service.answerWith((socket) => socket.write(`${good}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`));
    for (let count = 0; count < 5; count += 1) expect((await ask()).text).not.toContain('evil');
    await expectRecovered();
  });

  test('passes a redirect to the client and does not follow it', async () => {
    service.answerWith((socket) =>
      socket.write(
        `HTTP/1.1 307 Temporary Redirect\r\nLocation: ${service.url}/elsewhere\r\nContent-Length: 0\r\n\r\n`,
      ),
    );
    const before = service.heads.length;
    const { status, headers } = await ask();
    expect([status, headers.location, service.heads.length]).toEqual([307, `${service.url}/elsewhere`, before + 1]);
  });

  test.each(['too much', ''])(
    'that answers before the upload ends: the client reads "%s" immediately, and the upload ends',
    async (answer) => {
      let cut = false;
      service.answerWith((socket) => {
        whenOver(socket, () => {
          cut = true;
        });
        socket.write(`HTTP/1.1 413 Too Much\r\nContent-Length: ${answer.length}\r\n\r\n${answer}`);
      });
      const client = connect(gateway.port, '127.0.0.1');
      client.on('error', () => client.destroy());
      const askedAt = performance.now();
      let answeredAt: number | undefined;
      let text = '';
      client.on('data', (chunk) => {
        answeredAt ??= performance.now();
        text += chunk;
      });
      client.write(
        `POST /v1/upload HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer ${token}\r\nContent-Length: 4000000\r\n\r\n`,
      );
      client.write(Buffer.alloc(64 * 1024));
      await eventually(() => expect([cut, client.closed]).toEqual([true, true]));
      expect(parseAnswer(text)).toMatchObject({ status: 413, headers: { connection: 'close' }, body: answer });
      // The gateway reads the rest of the body for another 2 s; the response does not wait for that.
      expect((answeredAt ?? Number.POSITIVE_INFINITY) - askedAt).toBeLessThan(1_800);
      await expectRecovered();
    },
  );

  test('sees an aborted upload when the client aborts it', async () => {
    let cut = false;
    service.answerWith((socket) => {
      whenOver(socket, () => {
        cut = true;
      });
    });
    const before = service.heads.length;
    const client = connect(gateway.port, '127.0.0.1');
    client.write(
      `POST /v1/upload HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer ${token}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`,
    );
    await eventually(() => expect(service.heads.length).toBe(before + 1));
    client.destroy();
    await eventually(() => expect(cut).toBe(true));
  });

  test('may answer for longer than the response timeout, while data flows', async () => {
    service.answerWith((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
      let left = 8;
      const drip = setInterval(() => {
        socket.write('1\r\n.\r\n');
        left -= 1;
        if (left > 0) return;
        clearInterval(drip);
        socket.write('0\r\nX-Sum: 1\r\n\r\n');
      }, 200);
    });
    const { status, body, text } = await ask();
    expect([status, body]).toEqual([200, '........']);
    // The gateway drops trailers: it forwards no `TE`, and does not check their content.
    expect(text).not.toMatch(/x-sum/i);
  });

  test('that is slow for one request delays the next on the same connection, and does not break it', async () => {
    const large = 'x'.repeat(512 * 1024);
    service.answerWith((socket, head) => {
      if (head.includes('/things/large')) {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${large.length}\r\n\r\n${large}`);
        return;
      }
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n');
      let left = 8;
      const drip = setInterval(() => {
        socket.write('.');
        left -= 1;
        if (left === 0) clearInterval(drip);
      }, 200);
    });
    const pipelined = request().replace('<close>', 'Connection: keep-alive') + request('GET', '/v1/things/large');
    const { text } = await gateway.raw(pipelined.replaceAll('<host>', 'Host: gateway.test'));
    expect(text.match(/HTTP\/1.1 200 OK/g)).toHaveLength(2);
    expect(text).toContain('........');
    expect(text.endsWith(large)).toBe(true);
  });
});

test('sends nothing upstream for a client that left during token verification', async () => {
  const service = await rawService((socket) => socket.write(good));
  const gateway = await gatewayUnderTest({ edits: [thingsAt([service.url])], keySets: { cooldownMs: 0 } });
  // The token's key is not known yet, so the gateway has to fetch it, and the issuer delays the answer.
  const rotated = await mintIssuer();
  const token = await rotated.accessToken();
  let answerKeys: (() => void) | undefined;
  gateway.issuerServer.answerKeys((_request, response) => {
    answerKeys = () => response.end(JSON.stringify({ keys: [...gateway.issuer.jwks.keys, ...rotated.jwks.keys] }));
  });
  const client = connect(gateway.port, '127.0.0.1');
  client.write(`GET /v1/things/gone HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer ${token}\r\n\r\n`);
  await eventually(() => expect(answerKeys).toBeDefined());
  client.destroy();
  await eventually(() => expect(gateway.log.lines().filter(({ aborted }) => aborted === true)).toHaveLength(1));
  answerKeys?.();
  expect((await gateway.ask('/v1/things/next', { token })).status).toBe(200);
  expect(service.heads.map((head) => head.split(' ')[1])).toEqual(['/v1/things/next']);
  await gateway.close();
  await service.close();
});
