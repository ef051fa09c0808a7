import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { eventually, mintIssuer, type TestIssuer } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { request } from 'undici';
import { runCli } from '../src/cli/cli.ts';
import { type EventGateway, type EventWorld, eventSecret, eventWorld } from './event-gateway.ts';

const secrets = { a: 'the-secret-of-the-hook-of-a-01234', b: 'the-secret-of-the-hook-of-b-56789' } as const;
type Name = keyof typeof secrets;

const revoked = [401, 'token_revoked'];
const good = [200, undefined];
const format = `{
                  verify: { kind: hmac, header: X-Sig, prefix: "sha256=" },
                  type: /event, id: /id, ends: [
                    { type: [session.revoked], session: /data/session, user: /data/user, at: /at },
                    { type: [user.banned], user: /data/user, at: /at },
                    { type: [user.left], user: /data/user, tenant: /data/tenant, at: /at } ] }`;

describe('webhooks of two issuers', () => {
  let world: EventWorld;
  let gateway: EventGateway;
  let issuers: Record<Name, TestIssuer>;
  let file: string;
  beforeAll(async () => {
    world = await eventWorld();
    issuers = { a: await mintIssuer({ issuer: 'https://a.test' }), b: await mintIssuer({ issuer: 'https://b.test' }) };
    const entry = (name: Name) => {
      for (const [suffix, text] of [
        ['json', JSON.stringify(issuers[name].jwks)],
        ['secret', secrets[name]],
      ] as const)
        writeFileSync(join(world.home, `${name}.${suffix}`), text);
      writeFileSync(join(world.home, `${name}.revoke`), `${eventSecret}-${name}`);
      return `  - name: ${name}
    issuer: https://${name}.test
    audience: complaints-api
    jwks: ${join(world.home, `${name}.json`)}
    algorithms: [ES256]
    claims: { userId: sub }
    tenants: [t-${name}]
    roles: [agent]
    events:
      revoke: { secretFile: ${join(world.home, `${name}.revoke`)} }
      webhook:
        secretFile: ${join(world.home, `${name}.secret`)}
        where: { /project: ${name} }
        format: ${format}
`;
    };
    const [before = '', after = ''] = world.yaml().split(/ {2}- name: sso[\s\S]*?(?=\nidentity:)/);
    const text = before + entry('a') + entry('b') + after;
    file = join(world.home, 'two.yaml');
    writeFileSync(file, text);
    gateway = await world.start({ text });
  });
  afterAll(() => world.close());

  let count = 0;
  const fresh = () => {
    count += 1;
    return { sub: `user-${count}`, sid: `session-${count}` };
  };
  const token = (name: Name, claims: object) =>
    issuers[name].accessToken({ user_id: undefined, tenant_id: `t-${name}`, ...claims });
  const bodyOf = (name: Name, event: string, data: object, more: object = {}) => {
    count += 1;
    return JSON.stringify({ project: name, event, id: `e-${count}`, at: new Date().toISOString(), data, ...more });
  };
  const signed = (body: string, secret: string) => ({
    'x-sig': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
  });
  const pathOf = (name: Name, kind = 'webhook') => `/.well-known/countersign/${kind}/${name}`;
  const deliver = (name: Name, body: string, secret: string = secrets[name]) =>
    gateway.post(pathOf(name), signed(body, secret), body);

  test('in a format of its own, each ends what it names, and no other', async () => {
    const own = fresh();
    const [ended, next] = [await token('a', own), await token('a', { ...own, sid: 'next' })];
    expect((await deliver('a', bodyOf('a', 'session.revoked', { session: own.sid, user: own.sub }))).status).toBe(200);
    expect(await gateway.ask(ended)).toEqual(revoked);
    expect(await gateway.ask(next)).toEqual(good);
    expect((await deliver('a', bodyOf('a', 'user.banned', { user: own.sub }))).status).toBe(200);
    expect(await gateway.ask(next)).toEqual(revoked);
  });

  test('neither ends the tokens of the other, with any body and either secret', async () => {
    const own = fresh();
    const [a, b] = [await token('a', own), await token('b', own)];
    const data = { user: own.sub, tenant: 't-b', issuer: 'https://b.test' };
    const claims = { iss: 'https://b.test', issuer: 'b', name: 'b' };
    const body = bodyOf('b', 'user.banned', data, claims);
    // Signed by A for B's path; B's project on A's path; B's tenant on A's path.
    expect((await deliver('b', body, secrets.a)).status).toBe(401);
    expect((await deliver('a', body)).status).toBe(200);
    expect((await deliver('a', bodyOf('a', 'user.left', data, claims))).status).toBe(200);
    const call = JSON.stringify({ id: 'x', user: own.sub });
    expect((await gateway.post(pathOf('b', 'revoke'), { authorization: `Bearer ${eventSecret}-a` }, call)).status).toBe(
      401,
    );
    for (const one of [a, b]) expect(await gateway.ask(one)).toEqual(good);
    expect((await deliver('a', bodyOf('a', 'user.banned', data, claims))).status).toBe(200);
    expect([await gateway.ask(a), await gateway.ask(b)]).toEqual([revoked, good]);
  });

  test("neither takes the other's kind of call, nor the secret of the other endpoint", async () => {
    const { sub } = fresh();
    const one = await token('a', { sub });
    const [hook, call] = [bodyOf('a', 'user.banned', { user: sub }), JSON.stringify({ id: 'y', user: sub })];
    expect((await gateway.post(pathOf('a', 'revoke'), signed(hook, secrets.a), hook)).status).toBe(401);
    expect((await gateway.post(pathOf('a', 'revoke'), { authorization: `Bearer ${secrets.a}` }, call)).status).toBe(
      401,
    );
    expect((await deliver('a', call, `${eventSecret}-a`)).status).toBe(401);
    expect((await deliver('a', one)).status).toBe(400);
    // A webhook is no access token, and an access token is no webhook.
    expect((await gateway.ask(hook))[0]).toBe(400);
    expect(await gateway.ask(one)).toEqual(good);
  });

  test('none ends a tenant, an OAuth client or an issuer, and none makes tokens valid again', async () => {
    const own = fresh();
    const one = await token('a', own);
    for (const event of ['tenant.deleted', 'client.deleted', 'user.unbanned', '__proto__', 'constructor'])
      expect((await deliver('a', bodyOf('a', event, { tenant: 't-a', user: own.sub }))).status).toBe(200);
    expect((await deliver('a', bodyOf('a', 'user.left', { user: own.sub }))).status).toBe(200);
    expect(await gateway.ask(one)).toEqual(good);
    expect((await deliver('a', bodyOf('a', 'user.left', { user: own.sub, tenant: 't-a' }))).status).toBe(200);
    expect(await gateway.ask(one)).toEqual(revoked);
    expect((await deliver('a', bodyOf('a', 'user.unbanned', { user: own.sub }))).status).toBe(200);
    expect(await gateway.ask(one)).toEqual(revoked);
  });

  test('no URL in a body or a header is requested', async () => {
    let requests = 0;
    const server = createServer((_, response) => {
      requests += 1;
      response.end('{}');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
    const body = bodyOf('a', 'user.banned', { user: 'another' }, { jku: url, x5u: url, callback: url });
    const headers = { ...signed(body, secrets.a), jku: url, x5u: url, 'webhook-callback': url };
    expect((await gateway.post(pathOf('a'), headers, body)).status).toBe(200);
    expect(requests).toBe(0);
    server.close();
  });

  test("600 forgeries from the provider's address do not stop its honest events, or another's", async () => {
    const own = fresh();
    const tokens = { a: await token('a', own), b: await token('b', own) };
    for (let at = 0; at < 600; at += 50) {
      const forged = Array.from({ length: 50 }, () =>
        deliver('a', bodyOf('a', 'user.banned', { user: own.sub }), 'a'.repeat(33)),
      );
      expect(new Set((await Promise.all(forged)).map(({ status }) => status))).toEqual(new Set([401]));
    }
    for (const name of ['a', 'b'] as const) {
      expect((await deliver(name, bodyOf(name, 'user.banned', { user: own.sub }))).status).toBe(200);
      expect(await gateway.ask(tokens[name])).toEqual(revoked);
    }
  });

  test('200 senders that never finish do not stop an honest one, and the slowest of them are closed', async () => {
    const { public: port } = gateway.running.ports;
    const headOf = (path: string) => `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{`;
    const others = [pathOf('b'), pathOf('a', 'revoke')].map((path) => {
      const socket = connect(port, '127.0.0.1');
      socket.write(headOf(path));
      return socket;
    });
    const head = headOf(pathOf('a'));
    const sockets = Array.from({ length: 200 }, () => connect(port, '127.0.0.1').on('error', () => {}));
    let closed = 0;
    for (const socket of sockets)
      socket
        .on('close', () => {
          closed += 1;
        })
        .write(head);
    await eventually(() => expect(closed).toBe(200 - 64));
    // Those of other sources, which are the oldest, stay open.
    expect(others.map(({ readableEnded, closed }) => readableEnded || closed)).toEqual([false, false]);
    expect((await deliver('a', bodyOf('a', 'user.banned', { user: 'another' }))).status).toBe(200);
    for (const socket of [...others, ...sockets]) socket.destroy();
  });

  test('a flood of valid events of one source does not delay those of another', async () => {
    const own = fresh();
    const statuses = new Map<number, number>();
    let isOver = false;
    const flood = Array.from({ length: 32 }, async () => {
      while (!isOver) {
        const { status } = await deliver('a', bodyOf('a', 'user.banned', { user: `flood-${count}` }));
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    });
    await eventually(() => expect(statuses.get(200)).toBeGreaterThan(100));
    for (let times = 0; times < 5; times += 1) {
      const one = await token('b', { ...own, sub: `b-${times}` });
      expect(await gateway.ask(one)).toEqual(good);
      const answered = () => [...statuses.values()].reduce((all, one) => all + one, 0);
      const before = answered();
      expect((await deliver('b', bodyOf('b', 'user.banned', { user: `b-${times}` }))).status).toBe(200);
      expect(await gateway.ask(one)).toEqual(revoked);
      // Each of its two requests waits for one turn of the 32 senders at most, and not for all that the flood sends.
      expect(answered() - before).toBeLessThan(32 * 8);
    }
    isOver = true;
    await Promise.all(flood);
    // Beyond 1,000 a second, with 5xx: some providers do not repeat after 429.
    expect([...statuses.keys()].filter((status) => status !== 200 && status !== 503)).toEqual([]);
  });

  test('each source has its counts and the time of its last event, and an idle one ages', async () => {
    expect((await deliver('a', bodyOf('a', 'user.created', { user: 'another' }))).status).toBe(200);
    const metrics = await (await gateway.admin('/metrics')).text();
    const figure = (metric: string, source: string) =>
      Number(
        new RegExp(`^countersign_${metric}\\{issuer="https://a.test",source="${source}"[^}]*\\} (\\S+)`, 'm').exec(
          metrics,
        )?.[1],
      );
    expect(Date.now() / 1000 - figure('event_source_last_timestamp_seconds', 'webhook')).toBeLessThan(30);
    expect(figure('event_source_age_seconds', 'webhook')).toBeLessThan(30);
    expect(figure('event_source_age_seconds', 'shared_signals')).toBeNaN();
    expect(metrics).toMatch(
      /countersign_events_total\{issuer="https:\/\/a.test",source="webhook",result="applied".*\} [1-9]/,
    );
  });

  describe('check --sample', () => {
    const check = async (sample: string, nowMs = Date.now) => {
      writeFileSync(join(world.home, 'sample.http'), sample);
      const lines: string[] = [];
      const write = (line: string) => void lines.push(line);
      const terminal = {
        out: write,
        err: write,
        paint: (_: unknown, text: string) => text,
        isInteractive: false,
        env: {},
        nowMs,
      };
      const code = await runCli(['check', file, '--sample', join(world.home, 'sample.http')], terminal);
      return { code, text: lines.join('\n') };
    };
    const sampleOf = (body: string, secret: string, line = '\r\n') =>
      [
        `POST ${pathOf('a')} HTTP/1.1`,
        'Host: x',
        `X-Sig: ${signed(body, secret)['x-sig']}`,
        `Content-Length: ${Buffer.byteLength(body)}`,
        '',
        body,
      ].join(line);

    test.each(['\r\n', '\n'])('shows what a recorded delivery ends, with lines that end with %j', async (line) => {
      const body = bodyOf('a', 'user.banned', { user: 'ünï' }, { at: '2027-01-15T08:00:00Z' });
      const { code, text } = await check(`${sampleOf(body, secrets.a, line)}\n`);
      expect(text).toMatch(
        /authentic \S+sample.http: webhook of a \(own\), id e-\d+\n {2}user.banned ends the tokens of user ünï, issued before /,
      );
      expect(code).toBe(0);
      expect(text).not.toContain(secrets.a);
    });

    test.each([
      ['ends nothing', () => sampleOf(bodyOf('a', 'user.created', {}), secrets.a), 0, 'ends nothing: another event'],
      ['is forged', () => sampleOf(bodyOf('a', 'user.banned', { user: 'u' }), secrets.b), 1, 'refused'],
      ['is malformed', () => sampleOf('[]', secrets.a), 1, 'refused'],
      [
        'names no webhook',
        () => sampleOf('{}', secrets.a).replace('webhook/a', 'webhook/c'),
        2,
        'no issuer "c" has a webhook',
      ],
      ['is no request', () => '{}', 2, 'must begin with'],
    ])('a delivery that %s exits with its code', async (_name, sample, code, text) => {
      expect(await check(sample())).toEqual({ code, text: expect.stringContaining(text) });
    });
  });
});

test("Okta's challenge is answered to the holder of the secret alone, and only a plain one", async () => {
  const world = await eventWorld();
  try {
    writeFileSync(join(world.home, 'okta.secret'), 'the-authorization-of-an-event-hook');
    const gateway = await world.start({
      events: `{ webhook: { format: okta, secretFile: ${join(world.home, 'okta.secret')} }, sessions: false }`,
    });
    const ask = async (headers: Record<string, string>) => {
      const url = `http://127.0.0.1:${gateway.running.ports.public}/.well-known/countersign/webhook/sso`;
      const answer = await request(url, { headers });
      return { status: answer.statusCode, headers: answer.headers, body: await answer.body.text() };
    };
    const header = 'x-okta-verification-challenge';
    const authorization = 'Bearer the-authorization-of-an-event-hook';
    expect(await ask({ authorization, [header]: 'abc-_123' })).toMatchObject({
      status: 200,
      headers: { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', 'content-type': 'application/json' },
      body: '{"verification":"abc-_123"}',
    });
    for (const [headers, status] of [
      [{ [header]: 'abc' }, 401],
      [{ authorization: `${authorization}x`, [header]: 'abc' }, 401],
      [{ authorization, [header]: '<script>' }, 400],
      [{ authorization, [header]: 'x'.repeat(257) }, 400],
      [{ authorization }, 400],
    ] as const) {
      const answer = await ask(headers);
      expect([answer.status, answer.body.includes('verification')]).toEqual([status, false]);
    }
  } finally {
    await world.close();
  }
});
