import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { freePorts } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { runCli } from '../src/cli/cli.ts';
import { type EventGateway, type EventWorld, eventSecret, eventWorld, previousSecret } from './event-gateway.ts';

const path = '/.well-known/countersign/revoke/sso';
const events = `{ revoke: { secret: "\${SSF_SECRET}", previousSecret: "\${SSF_PREVIOUS}" } }`;

describe('a revoke call', () => {
  let world: EventWorld;
  let gateway: EventGateway;
  beforeAll(async () => {
    world = await eventWorld();
    gateway = await world.start({ events, issuer: '    tenants: [t-1, t-2]' });
  });
  afterAll(() => world.close());

  let count = 0;
  const fresh = () => {
    count += 1;
    return { sub: `user-${count}`, sid: `session-${count}` };
  };
  const call = async (body: object | string, bearer = eventSecret) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const answer = await gateway.post(path, { authorization: `Bearer ${bearer}` }, text);
    return { status: answer.status, headers: answer.headers, body: JSON.parse(answer.body) as Record<string, unknown> };
  };
  const revoked = [401, 'token_revoked'];
  const good = [200, undefined];

  test.each([
    [
      'a session',
      ({ sid }: ReturnType<typeof fresh>) => ({ session: sid }),
      [{ sid: 'other' }, { sub: 'other', sid: 'other' }],
    ],
    ['a user', ({ sub }: ReturnType<typeof fresh>) => ({ user: sub }), [{ sub: 'other' }]],
    [
      'a member',
      ({ sub }: ReturnType<typeof fresh>) => ({ member: { tenant: 't-1', user: sub } }),
      [{ tenant_id: 't-2' }, { sub: 'other' }],
    ],
  ])('ends %s, and no other tokens, before it is answered', async (_name, subject, others) => {
    const own = fresh();
    const ended = await world.token(own);
    const kept = await Promise.all(others.map((other) => world.token({ ...own, ...other })));
    for (const token of [ended, ...kept]) expect(await gateway.ask(token)).toEqual(good);
    const answer = await call({ id: `of-${own.sub}`, ...subject(own) });
    expect([answer.status, answer.headers['cache-control'], answer.body]).toEqual([
      200,
      'no-store',
      { result: 'applied' },
    ]);
    expect(await gateway.ask(ended)).toEqual(revoked);
    for (const token of kept) expect(await gateway.ask(token)).toEqual(good);
  });

  test('that is repeated changes nothing, with either secret, and another with its id is refused', async () => {
    const { sub } = fresh();
    const body = { id: `again-${sub}`, user: sub, at: new Date(Date.now() - 60_000).toISOString() };
    expect((await call(body)).body).toEqual({ result: 'applied' });
    const later = await world.token({ sub });
    expect((await call(body, previousSecret)).body).toEqual({ result: 'repeated' });
    expect(await gateway.ask(later)).toEqual(good);
    const other = fresh();
    expect(await call({ ...body, user: other.sub })).toMatchObject({ status: 409, body: { code: 'event_id_reused' } });
    expect(await gateway.ask(await world.token(other))).toEqual(good);
  });

  test('that arrives twice at once is stored once, and another with its id is refused', async () => {
    const subs = [fresh().sub, fresh().sub];
    const body = { id: 'twice', user: 'another', at: new Date().toISOString() };
    const results = await Promise.all([body, body, body].map((one) => call(one)));
    expect(results.map((one) => [one.status, one.body.result]).sort()).toEqual([
      [200, 'applied'],
      [200, 'repeated'],
      [200, 'repeated'],
    ]);
    const tokens = await Promise.all(subs.map((sub) => world.token({ sub })));
    const both = await Promise.all(subs.map((user) => call({ id: 'both', user })));
    expect(both.map(({ status }) => status).sort()).toEqual([200, 409]);
    for (const [at, token] of tokens.entries())
      expect(await gateway.ask(token)).toEqual(both[at]?.status === 200 ? revoked : good);
  });

  test('about what has expired stores nothing', async () => {
    const { sub, sid } = fresh();
    const at = new Date(Date.now() - 25 * 3_600_000).toISOString();
    for (const subject of [{ user: sub }, { session: sid }])
      expect((await call({ id: crypto.randomUUID(), ...subject, at })).body).toEqual({ result: 'expired' });
    expect(await gateway.ask(await world.token({ sub, sid }))).toEqual(good);
  });

  test.each<readonly [string, string, object | string, number, string]>([
    ['another secret', `${eventSecret}x`, { id: 'x', user: 'victim' }, 401, 'event_unauthenticated'],
    ['no secret', '', { id: 'x', user: 'victim' }, 401, 'event_unauthenticated'],
    ['a tenant', eventSecret, { id: 'x', tenant: 't-1' }, 400, 'invalid_request'],
    [
      "another issuer's tenant",
      eventSecret,
      { id: 'x', member: { tenant: 't-9', user: 'victim' } },
      400,
      'invalid_request',
    ],
    [
      'a time in the future',
      eventSecret,
      { id: 'x', user: 'victim', at: '2099-01-01T00:00:00Z' },
      400,
      'invalid_request',
    ],
    ['300 KiB', eventSecret, { id: 'x', user: 'x'.repeat(300 * 1024) }, 413, 'payload_too_large'],
    ['a repeated name', eventSecret, '{"id":"x","user":"another","user":"victim"}', 400, 'invalid_request'],
  ])('with %s is refused, and ends nothing', async (_name, bearer, body, status, code) => {
    const token = await world.token({ sub: 'victim', sid: 'victim' });
    expect(await call(body, bearer)).toMatchObject({ status, body: { code } });
    expect(await gateway.ask(token)).toEqual(good);
    expect(gateway.log.text()).not.toContain(eventSecret);
  });

  test('is served by POST on this listener alone, and only for an issuer that has it', async () => {
    const { public: open, admin, internal } = gateway.running.ports;
    const body = JSON.stringify({ id: 'listener', user: 'another' });
    const headers = { authorization: `Bearer ${eventSecret}` };
    expect((await fetch(`http://127.0.0.1:${open}${path}`, { headers })).status).toBe(405);
    for (const port of [admin, internal]) expect((await gateway.post(path, headers, body, port)).status).not.toBe(200);
    for (const other of [path.replace('sso', 'other'), path.replace('revoke', 'events')])
      expect((await gateway.post(other, headers, body)).status).toBe(404);
  });

  test('is named by its reason and age in explain, token and the console', async () => {
    const { sub } = fresh();
    const [file, tokenFile] = [join(world.home, 'named.yaml'), join(world.home, 'named-token')];
    writeFileSync(file, world.yaml({ events }));
    writeFileSync(tokenFile, await world.token({ sub }));
    await call({ id: `why-${sub}`, user: sub, reason: 'laptop stolen' });
    const { code, text } = await cli(['token', tokenFile, '-c', file]);
    expect(code).toBe(1);
    expect(text).toMatch(
      /the event revoked \(laptop stolen\) by revoke call of sso, \d s ago \(received \S+, id why-user-\d+\)/,
    );
    const { issuers } = (await (await gateway.admin('/api/issuers')).json()) as {
      issuers: readonly [{ events: object }];
    };
    expect(issuers[0].events).toMatchObject({
      revoke: true,
      last: { source: 'call', event: 'revoked (laptop stolen)' },
    });
  });

  async function cli(args: readonly string[], env: Record<string, string> = {}) {
    const lines: string[] = [];
    const write = (line: string) => void lines.push(line);
    const terminal = { out: write, err: write, paint: (_: unknown, text: string) => text, isInteractive: false };
    const all = { SSF_SECRET: eventSecret, SSF_PREVIOUS: previousSecret, ...env };
    const code = await runCli(args, { ...terminal, env: all, nowMs: world.nowMs });
    return { code, text: lines.join('\n') };
  }

  describe('by countersign revoke', () => {
    const secret = { COUNTERSIGN_REVOKE_SECRET: eventSecret };
    const revoke = (args: readonly string[], url?: string, env: Record<string, string> = secret) =>
      cli(
        ['revoke', '--issuer', 'sso', ...args, '--url', url ?? `http://127.0.0.1:${gateway.running.ports.public}`],
        env,
      );

    test.each([
      ['--session', ({ sid }: ReturnType<typeof fresh>) => [sid]],
      ['--user', ({ sub }: ReturnType<typeof fresh>) => [sub]],
      ['--member', ({ sub }: ReturnType<typeof fresh>) => ['t-1', sub]],
    ])('%s ends its tokens, and exits with 0', async (option, valuesOf) => {
      const own = fresh();
      const token = await world.token(own);
      expect(await revoke([option, ...valuesOf(own)])).toEqual({
        code: 0,
        text: expect.stringMatching(/^ended \(id \S+\)$/),
      });
      expect(await gateway.ask(token)).toEqual(revoked);
    });

    test('takes the secret from a file, and exits with 1 if it is another', async () => {
      const file = join(world.home, 'secret');
      writeFileSync(file, `${eventSecret}\n`);
      expect((await revoke(['--user', 'another', '--secret-file', file], undefined, {})).code).toBe(0);
      writeFileSync(file, `${eventSecret}x`);
      const refused = await revoke(['--user', 'another', '--secret-file', file], undefined, {});
      expect(refused).toEqual({ code: 1, text: expect.stringContaining('401') });
      expect(refused.text).not.toContain(eventSecret);
    });

    test.each<readonly [string, readonly string[], Record<string, string>?]>([
      ['no subject', []],
      ['two subjects', ['--user', 'u', '--session', 's']],
      ['a member without a user', ['--member', 't-1']],
      ['a user too many', ['--user', 'u', 'v']],
      ['a time that is none', ['--user', 'u', '--at', 'yesterday']],
      ['no secret', ['--user', 'u'], {}],
      ['an unreadable secret', ['--user', 'u', '--secret-file', '/nowhere']],
      ['no timeout', ['--user', 'u', '--timeout', '0']],
    ])('with %s exits with 2', async (_name, args, env = secret) => {
      expect((await revoke(args, undefined, env)).code).toBe(2);
    });

    test('repeats the same call until it is stored', async () => {
      const bodies: string[] = [];
      const server = createServer((request, response) => {
        request.setEncoding('utf8').once('data', (body: string) => {
          bodies.push(body);
          if (bodies.length === 1) request.socket.destroy();
          else if (bodies.length === 2) response.writeHead(503).end();
          else response.writeHead(200, { 'content-type': 'application/json' }).end('{"result":"repeated"}');
        });
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as { port: number };
      expect((await revoke(['--user', 'u'], `http://127.0.0.1:${port}`)).code).toBe(0);
      expect([bodies.length, new Set(bodies).size]).toEqual([3, 1]);
      server.close();
    });

    test('exits with 3 if nothing is there, and with 1 if it is no gateway', async () => {
      const [free = 0] = await freePorts(1);
      const unreachable = await revoke(['--user', 'u', '--timeout', '0.1'], `http://127.0.0.1:${free}`);
      expect(unreachable).toEqual({ code: 3, text: expect.stringContaining('ECONNREFUSED') });
      const server = createServer((_, response) => response.end('welcome'));
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as { port: number };
      expect((await revoke(['--user', 'u', '--timeout', '0.1'], `http://127.0.0.1:${port}`)).code).toBe(1);
      server.close();
    });
  });
});
