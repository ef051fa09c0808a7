import type { ServerResponse } from 'node:http';
import { eventually } from '@countersign/testing';
import { afterEach, describe, expect, test } from '@jest/globals';
import { Client } from 'undici';
import { type GatewayOptions, type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';
import { feedItem, issuerServer } from './issuer-server.ts';

describe('a configuration that replaces another', () => {
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

  test('holds for the next request on a connection that is older than it', async () => {
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

  test('leaves a request that is under way wholly to the old one, also where its upstream is gone from the new', async () => {
    const waiting: ServerResponse[] = [];
    await start({ upstream: { answer: (_request, res) => void waiting.push(res) } });
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

  test('judges tokens that were verified before by its own rules', async () => {
    await start();
    const token = await gateway.issuer.accessToken({ role: 'agent' });
    expect(await codeOf('/v1/things/1', token)).toBe(200);
    const things =
      'path: "/v1/things/**", methods: [GET, POST, PUT, PATCH, DELETE, OPTIONS], upstream: things, auth: required';
    await gateway.reload([[things, `${things}, allow: { roles: [admin] }`]]);
    expect(await codeOf('/v1/things/1', token)).toBe('insufficient_role');
    await gateway.reload([['audience: complaints-api', 'audience: another-api']]);
    expect(await codeOf('/v1/things/1', token)).toBe('token_audience_refused');
  });

  test('keeps verified tokens, keys and revocations of an issuer that is the same', async () => {
    await start();
    const token = await gateway.issuer.accessToken();
    const revoked = await gateway.issuer.accessToken({ sid: 's-1' });
    gateway.issuerServer.revoke(feedItem('session', { sid: 's-1' }));
    await eventually(async () => expect(await codeOf('/v1/things/1', revoked)).toBe('token_revoked'));
    expect(await codeOf('/v1/things/1', token)).toBe(200);
    const fetches = gateway.issuerServer.keyFetches();
    const misses = async () =>
      /token_cache\{what="misses"\} (\d+)/.exec(await (await gateway.admin('/metrics')).text())?.[1];
    const before = await misses();
    // Nothing could be fetched now.
    gateway.issuerServer.setHealthy(false);
    await gateway.reload([[openPath, closedPath]]);
    expect(await codeOf('/v1/things/1', token)).toBe(200);
    expect(await misses()).toBe(before);
    expect(await codeOf('/v1/things/1', revoked)).toBe('token_revoked');
    expect(gateway.issuerServer.keyFetches()).toBe(fetches);
  });

  test('waits for the keys and revocations of a new issuer, and serves meanwhile', async () => {
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

  test('refuses the tokens of an issuer that is gone from it, also those verified before', async () => {
    await start();
    const token = await gateway.issuer.accessToken();
    expect(await codeOf('/v1/things/1', token)).toBe(200);
    await gateway.reload([['issuer: "http://issuer.test"', 'issuer: "http://another.test"']]);
    expect(await codeOf('/v1/things/1', token)).toBe('token_issuer_unknown');
    const metrics = await (await gateway.admin('/metrics')).text();
    expect(metrics).not.toContain('issuer.test');
  });

  test('goes on counting where a limit is the same, and begins where it is another', async () => {
    await start();
    for (let count = 0; count < 3; count += 1) expect(await codeOf('/v1/limited')).toBe(200);
    await gateway.reload([[openPath, closedPath]]);
    expect(await codeOf('/v1/limited')).toBe('rate_limited');
    await gateway.reload([['requests: 3, per: 1m', 'requests: 4, per: 1m']]);
    expect(await codeOf('/v1/limited')).toBe(200);
  });

  test('ends event streams whose route is another in it, and leaves the others open', async () => {
    await start({
      upstream: {
        answer: (_request, res) =>
          void res.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n'),
      },
    });
    const token = await gateway.issuer.accessToken();
    const stream = async (path: string) => {
      const answer = await fetch(`http://127.0.0.1:${gateway.port}${path}`, {
        headers: { host: 'gateway.test', authorization: `Bearer ${token}` },
      });
      const reader = answer.body?.getReader();
      await reader?.read();
      let ended = false;
      void reader?.read().then(
        () => {
          ended = true;
        },
        () => {
          ended = true;
        },
      );
      return { ended: () => ended };
    };
    const open = await stream('/v1/open/1');
    const things = await stream('/v1/things/1');
    await gateway.reload([[openPath, closedPath]]);
    await eventually(() => expect(open.ended()).toBe(true));
    expect(things.ended()).toBe(false);
    await gateway.reload([['issuer: "http://issuer.test"', 'issuer: "http://another.test"']]);
    await eventually(() => expect(things.ended()).toBe(true));
  });

  test('that names a file which is not there changes nothing', async () => {
    await start();
    await expect(gateway.reload([['/keys"', '/no-keys"']])).rejects.toThrow('cannot be read (ENOENT)');
    expect(await codeOf('/v1/open/1')).toBe(200);
  });
});
