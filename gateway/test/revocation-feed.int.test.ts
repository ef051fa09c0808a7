import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { eventually } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';
import { feedItem } from './issuer-server.ts';

const hang: RequestListener = () => {};
const drip: RequestListener = (_req, res) => {
  const timer = setInterval(() => res.write(' '), 20);
  res.once('close', () => clearInterval(timer));
};
const json = (text: string | Buffer): RequestListener => {
  return (_req, res) => void res.writeHead(200, { 'content-type': 'application/json' }).end(text);
};
const page = (more: object) =>
  json(JSON.stringify({ log: 'log-1', cursor: 1_000_000, complete: true, items: [], ...more }));

const answers: [name: string, answer: RequestListener][] = [
  ['nothing', json('')],
  ['no JSON', json('<html>')],
  ['null', json('null')],
  ['a page without a log', page({ log: undefined })],
  ['a cursor that is not a number', page({ cursor: 'DROP TABLE' })],
  ['a cursor that is too large', page({ cursor: 1e300 })],
  ['items that are no list', page({ items: { length: 3 } })],
  ['unknown items', page({ items: [null, [], 7, { kind: 'session' }, { kind: '__proto__', sid: 's-2' }] })],
  ['a page that never completes', page({ complete: false })],
  ['a hundred thousand brackets', json('['.repeat(100_000))],
  ['9 MiB', json(Buffer.alloc(9 * 1024 * 1024, 0x20))],
  ['unrequested gzip', (_req, res) => void res.writeHead(200, { 'content-encoding': 'gzip' }).end('x')],
  ['a redirect', (_req, res) => void res.writeHead(302, { location: '/internal/revocations' }).end()],
  ['an error', (_req, res) => void res.writeHead(503).end('{}')],
  ['a 204', (_req, res) => void res.writeHead(204).end()],
  ['half an answer', (_req, res) => void res.writeHead(200, { 'content-length': 100 }).write('{', () => res.destroy())],
  ['a broken connection', (req) => void req.socket.destroy()],
  ['no answer', hang],
  ['an answer that never ends', drip],
];

describe('a revocation feed', () => {
  let gateway: GatewayUnderTest;
  beforeAll(async () => {
    gateway = await gatewayUnderTest();
  });
  afterAll(() => gateway.close());

  const ask = async (sid: string, by = gateway) => {
    const token = await by.issuer.accessToken({ sid });
    const { status, code } = await by.ask('/v1/things/1', { token });
    return status === 200 ? 200 : code;
  };
  const revoke = (sid: string, by = gateway) => by.issuerServer.revoke(feedItem('session', { sid }));

  test.each(answers)(
    'that answers with %s is ignored, delays no request, and is read again when it recovers',
    async (name, answer) => {
      const { issuerServer } = gateway;
      const [gone = '', kept = ''] = ['gone', 'kept'].map((what) => `${what}-${name.replaceAll(/\W/g, '-')}`);
      revoke(gone);
      await eventually(async () => expect(await ask(gone)).toBe('token_revoked'));
      const asked = issuerServer.questions.length;
      try {
        issuerServer.answerFeed(answer);
        await eventually(() => expect(issuerServer.questions.length).toBeGreaterThan(asked));
        for (let count = 0; count < 5; count += 1) {
          expect([await ask(gone), await ask(kept)]).toEqual(['token_revoked', 200]);
        }
      } finally {
        issuerServer.answerFeed(undefined);
      }
      revoke(kept);
      await eventually(async () => expect(await ask(kept)).toBe('token_revoked'));
      expect(await ask(gone)).toBe('token_revoked');
    },
  );

  // One of each kind of failure, because starting a gateway for each is slow.
  const beginnings = new Set(['nothing', 'a page without a log', 'a page that never completes', 'a 204', 'no answer']);
  test.each(answers.filter(([name]) => beginnings.has(name)))(
    'that starts with %s makes tokens 503, never 200',
    async (_name, answer) => {
      const fresh = await gatewayUnderTest({ isFeedHealthy: false });
      const { issuerServer } = fresh;
      try {
        issuerServer.answerFeed(answer);
        issuerServer.setFeedHealthy(true);
        const asked = issuerServer.questions.length;
        await eventually(() => expect(issuerServer.questions.length).toBeGreaterThan(asked));
        expect(await ask('s-1', fresh)).toBe('revocations_unavailable');
        revoke('s-1', fresh);
        issuerServer.answerFeed(undefined);
        await eventually(async () => expect(await ask('s-2', fresh)).toBe(200));
        expect(await ask('s-1', fresh)).toBe('token_revoked');
      } finally {
        await fresh.close();
      }
    },
  );

  test('gets requests signed by the gateway, with the last cursor', async () => {
    const fromCursor = () => gateway.issuerServer.questions.find(({ target }) => target.includes('wait=25'));
    const { target = '', headers = {} } =
      (await eventually(() => {
        expect(fromCursor()).toBeDefined();
        return fromCursor();
      })) ?? {};
    expect(target).toMatch(/^\/internal\/revocations\?log=log-1&after=\d+&wait=25$/);
    expect(headers).toMatchObject({ 'x-identity': 'gateway', 'x-identity-audience': 'auth' });
    expect(headers['signature-input']).toContain('tag="countersign-v1"');
    expect(headers).not.toHaveProperty('x-user-id');
  });

  test('is not served by the gateway', async () => {
    const token = await gateway.issuer.accessToken();
    const before = gateway.issuerServer.questions.length;
    const internal = `http://127.0.0.1:${gateway.running.ports.internal}/internal/revocations`;
    expect((await gateway.ask('/internal/revocations', { token })).code).toBe('no_route');
    expect((await fetch(internal, { headers: { 'x-identity': 'gateway' } })).status).toBe(404);
    expect(gateway.issuerServer.questions.slice(before).filter(({ target }) => !target.includes('log='))).toEqual([]);
  });

  test('has metrics for its lag and its staleness', async () => {
    revoke('s-late');
    gateway.issuerServer.revoke(feedItem('session', { sid: 's-later' }, Date.now() - 20_000));
    await eventually(async () => expect(await ask('s-later')).toBe('token_revoked'));
    const metrics = await (await gateway.admin('/metrics')).text();
    const issuer = 'issuer="http://issuer.test"';
    expect(metrics).toMatch(new RegExp(`countersign_revocation_lag_seconds_bucket\\{le="30",${issuer}\\} [1-9]`));
    const count = (le: string) =>
      Number(
        new RegExp(`countersign_revocation_lag_seconds_bucket\\{le="${le}",${issuer}\\} (\\d+)`).exec(metrics)?.[1],
      );
    expect(count('30') - count('10')).toBe(1);
    expect(metrics).toMatch(new RegExp(`countersign_revocations_staleness_seconds\\{${issuer}\\} [\\d.]+`));
  });
});

describe('a feed with two instances', () => {
  test.each([
    ['hangs', hang],
    ['answers without end', drip],
    ['is broken', (_req, res) => void res.writeHead(500).end()],
    ['is gone', (req) => void req.socket.destroy()],
  ] as [string, RequestListener][])(
    'of which one %s: revocations still arrive within a second',
    async (_name, answer) => {
      const ill = createServer(answer).listen(0, '127.0.0.1');
      await once(ill, 'listening');
      const { port } = ill.address() as AddressInfo;
      const gateway = await gatewayUnderTest({
        edits: [['auth: { targets: [', `auth: { targets: ["http://127.0.0.1:${port}", `]],
      });
      for (const sid of ['s-1', 's-2', 's-3', 's-4']) {
        const token = await gateway.issuer.accessToken({ sid });
        const ask = async () => (await gateway.ask('/v1/things/1', { token })).code ?? 200;
        expect(await ask()).toBe(200);
        gateway.issuerServer.revoke(feedItem('session', { sid }));
        const revokedAt = performance.now();
        await eventually(async () => expect(await ask()).toBe('token_revoked'));
        expect(performance.now() - revokedAt).toBeLessThan(1_000);
      }
      await gateway.close();
      ill.closeAllConnections();
      ill.close();
    },
  );
});

describe.each([
  ['allow', 200],
  ['deny', 'revocations_unavailable'],
] as const)('a feed that is down for longer than maxStaleness, with onStale: %s', (onStale, outcome) => {
  test(`unrevoked tokens are ${outcome}, revoked ones stay refused, and both recover with the feed`, async () => {
    const gateway = await gatewayUnderTest({
      edits: [['maxStaleness: 30s, onStale: allow', `maxStaleness: 2s, onStale: ${onStale}`]],
    });
    const [revoked, other] = await Promise.all(['s-1', 's-2'].map((sid) => gateway.issuer.accessToken({ sid })));
    const ask = async (token = '') => {
      const { status, code } = await gateway.ask('/v1/things/1', { token });
      return status === 200 ? 200 : code;
    };
    gateway.issuerServer.revoke(feedItem('session', { sid: 's-1' }));
    await eventually(async () => expect(await ask(revoked)).toBe('token_revoked'));
    gateway.issuerServer.answerFeed((_req, res) => void res.writeHead(500).end());
    await eventually(async () => expect(await metricOf(gateway, 'revocations_staleness_seconds')).toBeGreaterThan(2));
    expect(await metricOf(gateway, 'revocation_feed_failures_total')).toBeGreaterThan(0);
    const before = gateway.upstream.requests.length;
    expect([await ask(revoked), await ask(other)]).toEqual(['token_revoked', outcome]);
    expect(gateway.upstream.requests.length - before).toBe(outcome === 200 ? 1 : 0);
    if (outcome !== 200) {
      const { status, headers } = await gateway.raw(
        `GET /v1/things/1 HTTP/1.1\r\n<host>\r\nAuthorization: Bearer ${other}\r\n<close>\r\n\r\n`,
      );
      expect([status, Number(headers['retry-after']) > 0, headers['www-authenticate']]).toEqual([503, true, undefined]);
      expect((await gateway.ask('/v1/open/1')).status).toBe(200);
    }
    gateway.issuerServer.answerFeed(undefined);
    await eventually(async () => expect(await ask(other)).toBe(200));
    expect(await ask(revoked)).toBe('token_revoked');
    await gateway.close();
  });
});

/** The value of a metric with one series. */
async function metricOf(gateway: GatewayUnderTest, name: string): Promise<number> {
  const metrics = await (await gateway.admin('/metrics')).text();
  return Number(new RegExp(`^countersign_${name}\\{[^}]*\\} (\\S+)$`, 'm').exec(metrics)?.[1]);
}
