import { once } from 'node:events';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { eventually } from '@countersign/testing';
import { afterEach, describe, expect, test } from '@jest/globals';
import { Client, request } from 'undici';
import { type GatewayOptions, type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';
import { feedItem, issuerServer } from './issuer-server.ts';

describe('a new configuration', () => {
  let gateway: GatewayUnderTest;
  const start = async (options?: GatewayOptions) => {
    gateway = await gatewayUnderTest(options);
  };
  afterEach(() => gateway.close());

  const codeOf = async (path: string, token?: string) => {
    const { status, code } = await gateway.ask(path, token === undefined ? {} : { token });
    return code ?? status;
  };
  const openPath = '/v1/open/**", methods: [GET, POST], upstream: things, auth: public';
  const closedPath = openPath.replace('public', 'required');

  test('applies to the next request on an existing connection', async () => {
    await start();
    const client = new Client(`http://127.0.0.1:${gateway.port}`);
    let connections = 0;
    client.on('connect', () => {
      connections += 1;
    });
    const status = async () => {
      const answer = await client.request({ method: 'GET', path: '/v1/open/1', headers: { host: 'gateway.test' } });
      await answer.body.dump();
      return answer.statusCode;
    };
    expect(await status()).toBe(200);
    await gateway.reload([[openPath, closedPath]]);
    expect(await status()).toBe(401);
    await gateway.reload();
    expect(await status()).toBe(200);
    expect(connections).toBe(1);
    await client.close();
  });

  test('applies while its file is written all the time', async () => {
    await start({ reloadTiming: { checkEveryMs: 10 } });
    const closed = gateway.yaml.replace(openPath, closedPath);
    let count = 0;
    // Renamed, so that no check reads half a file. More often than the checks, so that each sees another one.
    const writing = setInterval(() => {
      count += 1;
      writeFileSync(`${gateway.file}.new`, `${closed}# ${count}\n`);
      renameSync(`${gateway.file}.new`, gateway.file);
    }, 3);
    try {
      await eventually(async () => expect(await codeOf('/v1/open/1')).toBe('token_missing'));
    } finally {
      clearInterval(writing);
    }
  });

  test('lets a request in progress finish under the old configuration, even if its upstream was removed', async () => {
    const waiting: ServerResponse[] = [];
    await start({
      edits: [['response: 2s', 'response: 30s']],
      upstream: { answer: (_request, res) => void waiting.push(res) },
    });
    const answer = gateway.ask('/v1/open/1');
    await eventually(() => expect(waiting).toHaveLength(1));
    await gateway.reload([
      [openPath, closedPath],
      ['timeouts: { connect: 1s, response: 2s, idle: 2s }', 'timeouts: { connect: 1s, response: 1s, idle: 1s }'],
    ]);
    expect(await codeOf('/v1/open/1')).toBe('token_missing');
    waiting[0]?.end('{}');
    expect((await answer).status).toBe(200);
  });

  test('applies its rules to tokens that were verified before', async () => {
    await start();
    const token = await gateway.issuer.accessToken({ role: 'agent' });
    expect(await codeOf('/v1/things/1', token)).toBe(200);
    const things = 'upstream: things, auth: required, body: { mode: digest, maxBytes: 64KiB }';
    // `moved` reaches the same paths, so it needs the same rules.
    const moved = 'upstream: things, auth: required, rewrite:';
    const allow = 'allow: { roles: [admin] }';
    await gateway.reload([
      [things, `${allow}, ${things}`],
      [moved, `${allow}, ${moved}`],
    ]);
    expect(await codeOf('/v1/things/1', token)).toBe('insufficient_role');
    await gateway.reload([['audience: complaints-api', 'audience: another-api']]);
    expect(await codeOf('/v1/things/1', token)).toBe('token_audience_refused');
  });

  test('keeps verified tokens, keys and revocations of an unchanged issuer', async () => {
    await start();
    const token = await gateway.issuer.accessToken();
    const revoked = await gateway.issuer.accessToken({ sid: 's-1' });
    gateway.issuerServer.revoke(feedItem('session', { sid: 's-1' }));
    await eventually(async () => expect(await codeOf('/v1/things/1', revoked)).toBe('token_revoked'));
    expect(await codeOf('/v1/things/1', token)).toBe(200);
    const fetches = gateway.issuerServer.keyFetches();
    const misses = async () =>
      /token_cache_lookups_total\{result="miss"\} (\d+)/.exec(await (await gateway.admin('/metrics')).text())?.[1];
    const before = await misses();
    // From here on, the issuer answers no requests.
    gateway.issuerServer.setHealthy(false);
    await gateway.reload([[openPath, closedPath]]);
    expect(await codeOf('/v1/things/1', token)).toBe(200);
    expect(await misses()).toBe(before);
    expect(await codeOf('/v1/things/1', revoked)).toBe('token_revoked');
    expect(gateway.issuerServer.keyFetches()).toBe(fetches);
  });

  test('waits for the keys and revocations of a new issuer, while the old one serves', async () => {
    await start();
    const token = await gateway.issuer.accessToken();
    const other = await issuerServer(gateway.issuer);
    other.revoke(feedItem('session', { sid: 's-1' }));
    other.setHealthy(false);
    const { url } = gateway.issuerServer;
    const reloading = gateway.reload([
      [`jwks: "${url}`, `jwks: "${other.url}`],
      [`url: "${url}`, `url: "${other.url}`],
      [`auth: { targets: ["${url}"] }`, `auth: { targets: ["${other.url}"] }`],
    ]);
    await eventually(() => expect(other.keyFetches()).toBeGreaterThan(0));
    expect(await codeOf('/v1/things/1', token)).toBe(200);
    other.setHealthy(true);
    await reloading;
    expect(await codeOf('/v1/things/1', token)).toBe(200);
    expect(await codeOf('/v1/things/1', await gateway.issuer.accessToken({ sid: 's-1' }))).toBe('token_revoked');
    await other.close();
  });

  test('is refused if a new issuer does not answer in time; a silent old issuer does not block it', async () => {
    await start({ reloadTiming: { warmUpMs: 100 } });
    const token = await gateway.issuer.accessToken();
    const { url } = gateway.issuerServer;
    const elsewhere = gateway.reload([[`jwks: "${url}`, 'jwks: "http://127.0.0.1:1']]);
    await expect(elsewhere).rejects.toThrow('timed out after 0.1 s waiting for keys of http://issuer.test');
    expect(await codeOf('/v1/things/1', token)).toBe(200);
    await gateway.close();

    await start({ isIssuerHealthy: false, reloadTiming: { warmUpMs: 100 } });
    await gateway.reload([[openPath, closedPath]]);
    expect(await codeOf('/v1/open/1')).toBe('token_missing');
  });

  test('refuses tokens of a removed issuer, even those verified before', async () => {
    await start();
    const token = await gateway.issuer.accessToken();
    expect(await codeOf('/v1/things/1', token)).toBe(200);
    await gateway.reload([['issuer: "http://issuer.test"', 'issuer: "http://another.test"']]);
    expect(await codeOf('/v1/things/1', token)).toBe('token_issuer_unknown');
    const metrics = await (await gateway.admin('/metrics')).text();
    expect(metrics).not.toContain('issuer.test');
  });

  test('keeps the counts of an unchanged limit, and resets those of a changed one', async () => {
    await start();
    for (let count = 0; count < 3; count += 1) expect(await codeOf('/v1/limited')).toBe(200);
    await gateway.reload([[openPath, closedPath]]);
    expect(await codeOf('/v1/limited')).toBe('rate_limited');
    await gateway.reload([['requests: 3, per: 1m', 'requests: 4, per: 1m']]);
    expect(await codeOf('/v1/limited')).toBe(200);
  });

  test('ends event streams of changed routes, and leaves the others open', async () => {
    const long = ['idle: 2s', 'idle: 60s'] as const;
    await start({
      edits: [long],
      upstream: {
        answer: (_request, res) =>
          void res.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n'),
      },
    });
    const token = await gateway.issuer.accessToken();
    const stream = async (path: string) => {
      const { statusCode, body } = await request(`http://127.0.0.1:${gateway.port}${path}`, {
        headers: { host: 'gateway.test', authorization: `Bearer ${token}` },
      });
      expect(statusCode).toBe(200);
      body.on('error', () => {});
      await once(body, 'data');
      return { ended: () => body.closed };
    };
    const open = await stream('/v1/open/1');
    const things = await stream('/v1/things/1');
    await gateway.reload([long, [openPath, closedPath]]);
    await eventually(() => expect(open.ended()).toBe(true));
    expect(things.ended()).toBe(false);
    await gateway.reload([long, ['issuer: "http://issuer.test"', 'issuer: "http://another.test"']]);
    await eventually(() => expect(things.ended()).toBe(true));
  });

  test('ends WebSockets of changed routes, and leaves the others open', async () => {
    const head = 'Connection: Upgrade\r\nUpgrade: websocket\r\n';
    const answer = `HTTP/1.1 101 Switching Protocols\r\n${head}Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n`;
    await start({ upstream: { upgrade: (_request, socket) => void socket.write(answer) } });
    const token = await gateway.issuer.accessToken();
    const socket = connect(gateway.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(
      `GET /v1/socket HTTP/1.1\r\nHost: gateway.test\r\n${head}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer ${token}\r\n\r\n`,
    );
    const [first] = await once(socket, 'data');
    expect(String(first)).toMatch(/^HTTP\/1\.1 101 /);
    socket.resume();
    await gateway.reload([[openPath, closedPath]]);
    expect(await codeOf('/v1/open/1')).toBe('token_missing');
    expect(socket.closed).toBe(false);
    const path = 'path: /v1/socket, methods: [GET], upstream: things, auth: required';
    await gateway.reload([[path, `${path}, allow: { roles: [admin] }`]]);
    await eventually(() => expect(socket.closed).toBe(true));
  });

  test('frees the memory of earlier ones', async () => {
    const loaded: WeakRef<object>[] = [];
    await start({ loaded: (config) => void loaded.push(new WeakRef(config)) });
    for (let round = 0; round < 6; round += 1) {
      await gateway.reload([['connect: 1s', `connect: ${round + 2}s`]]);
      expect(await codeOf('/v1/open/1')).toBe(200);
    }
    setFlagsFromString('--expose-gc');
    const collect: () => void = runInNewContext('gc');
    await eventually(() => {
      collect();
      expect(loaded.filter((config) => config.deref() !== undefined).length).toBeLessThanOrEqual(2);
    });
    expect(loaded).toHaveLength(6);
  });

  test('that names a missing file changes nothing', async () => {
    await start();
    await expect(gateway.reload([['/keys"', '/no-keys"']])).rejects.toThrow('cannot be read (ENOENT)');
    expect(await codeOf('/v1/open/1')).toBe(200);
  });

  describe('under load', () => {
    /** Sends requests on keep-alive connections, one at a time on each, until it is stopped. */
    function load(connections: number, headers: Readonly<Record<string, string>> = {}) {
      let stopped = false;
      let opened = 0;
      const statuses = new Map<number, number>();
      const clients = Array.from({ length: connections }, () => new Client(`http://127.0.0.1:${gateway.port}`));
      const loops = clients.map(async (client) => {
        client.on('connect', () => {
          opened += 1;
        });
        while (!stopped) {
          const path = '/v1/open/1';
          const answer = await client.request({ method: 'GET', path, headers: { host: 'gateway.test', ...headers } });
          await answer.body.dump();
          statuses.set(answer.statusCode, (statuses.get(answer.statusCode) ?? 0) + 1);
        }
        await client.close();
      });
      return {
        async stop() {
          stopped = true;
          await Promise.all(loops);
          return { statuses: Object.fromEntries(statuses), opened };
        },
      };
    }

    test('alternating good and bad files fail no request and break no connection', async () => {
      await start();
      const requests = load(8);
      const things = 'upstream: things, auth: required, websocket: true';
      for (let round = 0; round < 15; round += 1) {
        await gateway.reload([['connect: 1s', `connect: ${round + 1}s`]]);
        await expect(gateway.reload([['auth: optional', 'auth: maybe']])).rejects.toThrow('routes[4].auth');
        await gateway.reload([[things, things.replace('required', 'public')]]);
      }
      const { statuses, opened } = await requests.stop();
      expect(Object.keys(statuses)).toEqual(['200']);
      expect(statuses[200]).toBeGreaterThan(100);
      expect(opened).toBe(8);
    });

    test('hostile and malformed YAML files fail no request', async () => {
      await start({ isReadAside: true });
      const requests = load(4);
      const suite: { cases: Record<string, string> } = JSON.parse(
        readFileSync(new URL('kit/yaml-test-suite-failing.json', import.meta.url), 'utf8'),
      );
      const laughs = Array.from(
        { length: 9 },
        (_, at) => `a${at}: &a${at} [${Array(9).fill(at === 0 ? 'x' : `*a${at - 1}`)}]\n`,
      );
      const hostile = [
        ...Object.values(suite.cases),
        gateway.yaml + laughs.join(''),
        `${gateway.yaml}x: ${'['.repeat(100_000)}`,
        `${gateway.yaml}__proto__: { insecureTransport: true }\n`,
        gateway.yaml.replace('upstreams:', 'upstreams:\n  __proto__: { targets: ["http://127.0.0.1:1"] }'),
        `${gateway.yaml}insecureTransport: false\ninsecureTransport: true\n`,
        gateway.yaml.replace('version: 1', 'version: 1\n<<: { insecureTransport: true }'),
        `${gateway.yaml}---\n${gateway.yaml}`,
        gateway.yaml.replace('things:', 'things: !!js/function'),
        `${gateway.yaml}# ${'x'.repeat(10 * 1024 * 1024)}`,
        '',
      ];
      for (const text of hostile) {
        writeFileSync(gateway.file, text);
        expect((await gateway.running.reload()).refused?.problems.length).toBeGreaterThan(0);
      }
      const { statuses, opened } = await requests.stop();
      expect(Object.keys(statuses)).toEqual(['200']);
      expect(opened).toBe(4);
    });

    test('each request uses one configuration in all its stages', async () => {
      await start();
      const under = (strip: string, to: string): [string, string][] => [
        ['trustedProxies: []', `trustedProxies: []\nheaders: { strip: [${strip}] }`],
        [openPath, `${openPath}, rewrite: { prefix: { from: /v1/open, to: /${to} } }`],
      ];
      await gateway.reload(under('x-b', 'a'));
      const requests = load(8, { 'x-a': '1', 'x-b': '1' });
      for (let round = 0; round < 10; round += 1) {
        await gateway.reload(under('x-a', 'b'));
        await gateway.reload(under('x-b', 'a'));
      }
      await gateway.reload([[openPath, closedPath]]);
      const arrived = gateway.upstream.requests.length;
      const before = gateway.upstream.requests.slice();
      await eventually(async () => expect((await gateway.ask('/v1/open/1')).code).toBe('token_missing'));
      const { statuses, opened } = await requests.stop();
      expect(opened).toBe(8);
      expect(Object.keys(statuses).sort()).toEqual(['200', '401']);
      const seen = new Set(
        before.map(({ target, count }) => `${target} ${count('x-a') > 0 ? 'x-a' : ''}${count('x-b') > 0 ? 'x-b' : ''}`),
      );
      expect([...seen].sort()).toEqual(['/a/1 x-a', '/b/1 x-b']);
      // At most the requests in progress: after them, each connection got only 401.
      expect(gateway.upstream.requests.length - arrived).toBeLessThanOrEqual(8);
    });
  });
});
