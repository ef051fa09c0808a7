import { createPublicKey } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { databases, eventually } from '@countersign/testing';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { createVerifier, httpbis } from 'http-message-signatures';
import { sql } from 'kysely';
import { startUpkeep } from '../src/background.ts';
import { startWebhookCourier } from '../src/flows/webhooks/webhooks.ts';
import { courierRole } from '../src/store/roles.ts';
import { removeExpired } from '../src/store/upkeep.ts';
import { webhooksChannel } from '../src/store/webhooks/webhooks.ts';
import { complaintsWorld, people } from './world.ts';

const { complainant, agent, admin, stranger, strangerComplainant } = people;
const base = '/v1/webhooks';
type Delivered = Readonly<{
  url: string;
  headers: IncomingHttpHeaders;
  body: string;
  json: { id: string; type: string; complaint_id: string };
}>;

describe.each(databases())('webhooks on %s', (_kind, database) => {
  let world: Awaited<ReturnType<typeof complaintsWorld>>;
  let stop: () => Promise<void>;
  const startCourier = (options = {}) =>
    startWebhookCourier({
      db: world.db,
      logger: world.log.logger,
      now: world.flows.now,
      ...world.flows.webhooks,
      ...options,
    });
  beforeAll(async () => {
    world = await complaintsWorld(database);
    stop = await startCourier();
  });
  afterAll(async () => {
    await stop();
    await world.close();
  });

  const servers: { server: Server; sockets: Set<Socket> }[] = [];
  async function listen(server: Server): Promise<string> {
    const sockets = new Set<Socket>();
    server.on('connection', (socket) => sockets.add(socket));
    servers.push({ server, sockets });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?a=b`;
  }
  afterEach(async () => {
    const { body } = await world.call(admin, 'GET', base).expect(200);
    for (const { id } of body.items) await world.call(admin, 'DELETE', `${base}/${id}`).expect(204);
    for (const { server, sockets } of servers.splice(0)) {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    }
  });

  /** A receiver that records what it gets. */
  async function receiver(answer: (res: ServerResponse, count: number) => unknown = (res) => res.writeHead(204).end()) {
    const got: Delivered[] = [];
    const url = await listen(
      createServer((req, res) => {
        let body = '';
        req.setEncoding('utf8').on('data', (part: string) => {
          body += part;
        });
        req.on('end', () => {
          got.push({ url: req.url ?? '', headers: req.headers, body, json: JSON.parse(body) });
          answer(res, got.length);
        });
      }),
    );
    return { url, got, types: () => got.map(({ json }) => json.type) };
  }
  async function add(url: string, options = {}): Promise<{ id: string; secret?: string; keyid: string }> {
    const body = { url, events: ['complaint.filed', 'comment.added', 'complaint.moved'], ...options };
    return (await world.call(admin, 'POST', base, { body }).expect(201)).body;
  }
  async function fileComplaint(who = complainant): Promise<string> {
    const body = { title: 'Secret title', description: 'Secret text', category: 'light' };
    return (await world.call(who, 'POST', '/v1/complaints', { body }).expect(201)).body.id;
  }
  const comment = (id: string, internal: boolean) =>
    world
      .call(agent, 'POST', `/v1/complaints/${id}/comments`, { body: { body: 'Secret words', internal } })
      .expect(201);
  const read = async (id: string) => (await world.call(admin, 'GET', `${base}/${id}`).expect(200)).body;
  const log = async (id: string, query = '') =>
    (await world.call(admin, 'GET', `${base}/${id}/deliveries${query}`).expect(200)).body.items;
  /** Makes every retry due now. */
  const passTime = (change = sql``) =>
    world.db.transaction({ role: courierRole }, async (trx) => {
      await sql`update webhooks set retry_at = null ${change}`.execute(trx);
      await sql`update webhook_deliveries set due_at = clock_timestamp() where state = 'waiting'`.execute(trx);
      await sql`select pg_notify(${webhooksChannel}, '')`.execute(trx);
    });

  /** Verifies as docs/webhooks.md describes, with another implementation of RFC 9421. */
  async function verify(
    { url, headers }: Delivered,
    at: string,
    secrets: Record<string, string> = {},
  ): Promise<boolean> {
    const { body } = await world.send('GET', '/.well-known/webhook-keys.json', {}).expect(200);
    const given: Record<string, string> = {};
    for (const [name, value] of Object.entries(headers)) given[name] = String(value);
    const verified = await httpbis.verifyMessage(
      {
        all: true,
        async keyLookup({ keyid = '' }) {
          const jwk = body.keys.find((key: { kid: string }) => key.kid === keyid);
          if (jwk !== undefined) {
            return {
              id: keyid,
              algs: ['ed25519'],
              verify: createVerifier(createPublicKey({ key: jwk, format: 'jwk' }), 'ed25519'),
            };
          }
          const secret = secrets[keyid];
          if (secret === undefined) return null;
          return {
            id: keyid,
            algs: ['hmac-sha256'],
            verify: createVerifier(Buffer.from(secret, 'base64url'), 'hmac-sha256'),
          };
        },
        requiredFields: ['@method', '@target-uri', 'content-digest', 'content-type'],
        requiredParams: ['created', 'keyid', 'alg', 'tag'],
        maxAge: 300,
      },
      { method: 'POST', url: new URL(url, at).href, headers: given },
    );
    return verified === true;
  }

  test('a receiver gets the events that it subscribes to, signed, without texts or internal notes', async () => {
    const { url, got, types } = await receiver();
    const hook = await add(url);
    expect(hook).not.toHaveProperty('secret');
    const id = await fileComplaint();
    await comment(id, true);
    await world.call(agent, 'PATCH', `/v1/complaints/${id}`, { body: { title: 'Other' } }).expect(200);
    await comment(id, false);
    await fileComplaint(strangerComplainant);
    await eventually(() => expect(types()).toEqual(['complaint.filed', 'comment.added']));
    expect(got.map(({ json }) => json.complaint_id)).toEqual([id, id]);
    expect(got.map(({ body }) => body).join('')).not.toContain('Secret');
    for (const delivery of got) expect(await verify(delivery, url)).toBe(true);
    await eventually(async () => {
      const states = (await log(hook.id)).map(({ state, status }: { state: string; status: number }) => [
        state,
        status,
      ]);
      expect(states).toEqual([
        ['delivered', 204],
        ['delivered', 204],
      ]);
    });
  });

  test('a secret is shown once, and both secrets sign during a rotation', async () => {
    const { url, got } = await receiver();
    const hook = await add(url, { signature: 'hmac-sha256' });
    const { secret = '' } = hook;
    expect(Buffer.from(secret, 'base64url')).toHaveLength(32);
    expect(JSON.stringify(await read(hook.id))).not.toContain(secret);
    await world.call(admin, 'POST', `${base}/${hook.id}/ping`).expect(202);
    await eventually(() => expect(got).toHaveLength(1));
    const first = got[0] as Delivered;
    expect(await verify(first, url, { [hook.keyid]: secret })).toBe(true);
    expect(await verify(first, url, { [hook.keyid]: 'AAAA' }).catch(() => false)).toBe(false);
    const rotated = (await world.call(admin, 'POST', `${base}/${hook.id}/secret`).expect(200)).body;
    expect(rotated.secret).not.toBe(secret);
    await world.call(admin, 'POST', `${base}/${hook.id}/ping`).expect(202);
    await eventually(() => expect(got).toHaveLength(2));
    const both = { [hook.keyid]: secret, [rotated.keyid]: rotated.secret };
    expect(await verify(got[1] as Delivered, url, both)).toBe(true);
    expect(got[1]?.headers['signature-input']).toMatch(/sig1=.*sig2=/);
    const other = await add(url);
    const refused = await world.call(admin, 'POST', `${base}/${other.id}/secret`).expect(409);
    expect(refused.body.code).toBe('webhook_has_no_secret');
  });

  test('a secret that was rotated out signs for a day, and not longer', async () => {
    const { url, got } = await receiver();
    const { id, keyid } = await add(url, { signature: 'hmac-sha256' });
    const day = 24 * 3600_000;
    const rotated = (await world.call(admin, 'POST', `${base}/${id}/secret`).expect(200)).body;
    const rotatedAt = world.flows.now();
    const until = new Date((await read(id)).previous_secret_until).getTime();
    expect(Math.abs(until - rotatedAt.getTime() - day)).toBeLessThan(60_000);
    let sent = 0;
    const keyidsOf = async () => {
      await world.call(admin, 'POST', `${base}/${id}/ping`).expect(202);
      sent += 1;
      await eventually(() => expect(got).toHaveLength(sent));
      return [...String(got.at(-1)?.headers['signature-input']).matchAll(/keyid="([^"]*)"/g)].map(([, name]) => name);
    };
    let movedMs = 0;
    const moveTo = (ms: number) => {
      world.moveClock(ms - movedMs);
      movedMs = ms;
    };
    try {
      moveTo(day - 3600_000);
      expect(await keyidsOf()).toEqual([rotated.keyid, keyid]);
      moveTo(day);
      expect(await keyidsOf()).toEqual([rotated.keyid]);
      moveTo(30 * day);
      expect(await keyidsOf()).toEqual([rotated.keyid]);
      // A second rotation overlaps only with the secret before it.
      const last = (await world.call(admin, 'POST', `${base}/${id}/secret`).expect(200)).body;
      expect(await keyidsOf()).toEqual([last.keyid, rotated.keyid]);
    } finally {
      moveTo(0);
    }
  });

  test.each<[string, () => Promise<string>, string | number]>([
    ['hangs', async () => listen(createTcpServer((socket) => socket.on('error', () => {}))), 'timeout'],
    ['disconnects', async () => listen(createTcpServer((socket) => socket.destroy())), 'connection_failed'],
    ['responds with 500', async () => (await receiver((res) => res.writeHead(500).end('ok'))).url, 500],
    [
      'redirects to an internal address',
      async () => (await receiver((res) => res.writeHead(307, { location: 'http://169.254.169.254/' }).end())).url,
      307,
    ],
  ])('a receiver that %s delays no other, and gets its delivery later', async (_what, bad, result) => {
    // Otherwise nothing here depends on how fast a receiver answers.
    if (result === 'timeout') {
      await stop();
      stop = await startCourier({ timeoutMs: 1_000 });
    }
    const good = await receiver();
    const [failing] = [await add(await bad()), await add(good.url)];
    await fileComplaint();
    await eventually(() => expect(new Set(good.types())).toEqual(new Set(['complaint.filed'])));
    await eventually(async () => {
      const [entry] = await log(failing.id);
      expect(entry).toMatchObject({
        state: 'waiting',
        attempts: 1,
        ...(typeof result === 'number' ? { status: result, failure: null } : { status: null, failure: result }),
      });
    });
    const healed = await receiver();
    await world.call(admin, 'PATCH', `${base}/${failing.id}`, { body: { url: healed.url } }).expect(200);
    await passTime();
    await eventually(() => expect(healed.types()).toEqual(['complaint.filed']));
    await eventually(async () =>
      expect(await read(failing.id)).toMatchObject({ state: 'active', failures: 0, failing_since: null }),
    );
  });

  test('deliveries to a receiver that is down wait, and it gets no further connections', async () => {
    let connections = 0;
    const url = await listen(
      createTcpServer((socket) => {
        connections += 1;
        socket.destroy();
      }),
    );
    const { id } = await add(url);
    const complaint = await fileComplaint();
    await eventually(async () => expect(await read(id)).toMatchObject({ failures: 1 }));
    for (let at = 0; at < 5; at += 1) await comment(complaint, false);
    await eventually(async () => expect(await log(id, '?state=waiting')).toHaveLength(6));
    expect(connections).toBe(1);
  });

  test('a delivery that the receiver refuses does not delay later ones', async () => {
    const { url, types } = await receiver((res, count) => res.writeHead(count === 1 ? 500 : 204).end());
    await add(url);
    const complaint = await fileComplaint();
    await comment(complaint, false);
    await eventually(() => expect(types()).toEqual(['complaint.filed', 'comment.added']));
    await passTime();
    await eventually(() => expect(types()).toEqual(['complaint.filed', 'comment.added', 'complaint.filed']));
  });

  test('an internal address gets no connection, even if its URL was accepted', async () => {
    let connections = 0;
    const url = await listen(
      createTcpServer(() => {
        connections += 1;
      }),
    );
    const { id } = await add(url.replace('127.0.0.1', 'localhost'));
    await stop();
    stop = await startCourier({ receivers: 'public' });
    await fileComplaint();
    await eventually(async () => expect((await log(id))[0]).toMatchObject({ attempts: 1, failure: 'address_refused' }));
    expect(connections).toBe(0);
    await stop();
    stop = await startCourier();
  });

  test('a webhook is disabled when its receiver responds with 410 or fails for three days, and an admin can resume it', async () => {
    const gone = await receiver((res) => res.writeHead(410).end());
    const failing = await receiver((res, count) => res.writeHead(count <= 2 ? 503 : 200).end());
    const hooks = [await add(gone.url), await add(failing.url)];
    await fileComplaint();
    await eventually(async () =>
      expect(await read(hooks[0]?.id ?? '')).toMatchObject({ state: 'ended', ended_reason: 'gone' }),
    );
    await eventually(async () =>
      expect(await read(hooks[1]?.id ?? '')).toMatchObject({ state: 'active', failures: 1 }),
    );
    await passTime(sql`, failing_since = failing_since - interval '4 days'`);
    const id = hooks[1]?.id ?? '';
    await eventually(async () => expect(await read(id)).toMatchObject({ state: 'ended', ended_reason: 'failing' }));
    const [entry] = await log(id);
    expect(entry).toMatchObject({ state: 'failed', attempts: 2, status: 503, due_at: null });
    const again = `${base}/${id}/deliveries/${entry.id}/redeliver`;
    expect((await world.call(admin, 'POST', again).expect(409)).body.code).toBe('webhook_not_active');
    await fileComplaint();
    expect(await log(id)).toHaveLength(1);
    await world.call(admin, 'PATCH', `${base}/${id}`, { body: { state: 'active' } }).expect(200);
    await world.call(admin, 'POST', again).expect(202);
    await eventually(async () => expect((await log(id))[0]).toMatchObject({ state: 'delivered', attempts: 1 }));
    expect(failing.got[2]?.body).toBe(failing.got[0]?.body);
  });

  test.each<[string, (res: ServerResponse) => unknown]>([
    ['with 410', (res) => res.writeHead(410).end()],
    ['nothing', (res) => res.destroy()],
  ])(
    'a webhook whose URL changes while the old URL answers %s is neither disabled nor delayed',
    async (_name, answer) => {
      const next = await receiver();
      const old = await receiver(async (res) => {
        await world.call(admin, 'PATCH', `${base}/${id}`, { body: { url: next.url } }).expect(200);
        answer(res);
      });
      const { id } = await add(old.url);
      const complaint = await fileComplaint();
      await eventually(async () => expect((await log(id))[0]).toMatchObject({ attempts: 1 }));
      expect(await read(id)).toMatchObject({ state: 'active', failures: 0 });
      await comment(complaint, false);
      await eventually(() => expect(next.types()).toEqual(['comment.added']));
    },
  );

  test('the delivery log is read in pages, and contains no number that reveals other deliveries', async () => {
    const { url, got } = await receiver();
    const { id } = await add(url);
    for (let at = 0; at < 3; at += 1) await fileComplaint();
    await eventually(() => expect(got).toHaveLength(3));
    await eventually(async () => expect(await log(id, '?state=waiting')).toEqual([]));
    const whole = await log(id);
    const read: unknown[] = [];
    for (let cursor = ''; cursor !== 'end'; ) {
      const query = `?limit=2${cursor && `&cursor=${cursor}`}`;
      const { body } = await world.call(admin, 'GET', `${base}/${id}/deliveries${query}`).expect(200);
      read.push(...body.items);
      cursor = body.next_cursor ?? 'end';
      expect([...whole.map((each: { id: string }) => each.id), 'end']).toContain(cursor);
    }
    expect(read).toEqual(whole);
    expect(JSON.stringify(whole)).not.toContain('"seq"');
  });

  test('a paused webhook gets missed events when it resumes', async () => {
    const { url, types } = await receiver();
    const { id } = await add(url);
    await world.call(admin, 'PATCH', `${base}/${id}`, { body: { state: 'paused' } }).expect(200);
    await fileComplaint();
    expect((await world.call(admin, 'POST', `${base}/${id}/ping`).expect(409)).body.code).toBe('webhook_not_active');
    await passTime();
    expect(await log(id, '?state=waiting')).toHaveLength(1);
    await world.call(admin, 'PATCH', `${base}/${id}`, { body: { state: 'active' } }).expect(200);
    await eventually(() => expect(types()).toEqual(['complaint.filed']));
  });

  test('another instance sends the deliveries of an instance that died', async () => {
    const { url, types } = await receiver();
    const { id } = await add(url);
    await passTime(sql`, leased_until = clock_timestamp() + interval '1 minute'`);
    await fileComplaint();
    expect((await log(id))[0]).toMatchObject({ state: 'waiting', attempts: 0 });
    await passTime(sql`, leased_until = clock_timestamp() - interval '1 second'`);
    await eventually(() => expect(types()).toEqual(['complaint.filed']));
  });

  test('two instances deliver each event once, in order', async () => {
    const { url, got } = await receiver();
    const stopSecond = await startCourier();
    await add(url);
    const complaint = await fileComplaint();
    for (let at = 0; at < 20; at += 1) await comment(complaint, false);
    await eventually(() => expect(got).toHaveLength(21));
    await stopSecond();
    expect(new Set(got.map(({ json }) => json.id)).size).toBe(21);
  });

  test('events and deliveries are written together or not at all', async () => {
    const { url, types } = await receiver();
    const { id } = await add(url);
    const complaint = await fileComplaint();
    await eventually(() => expect(types()).toEqual(['complaint.filed']));
    const { body } = await world.call(agent, 'GET', `/v1/complaints/${complaint}/history`).expect(200);
    world.nextIds(body.items[0].id);
    await world
      .call(agent, 'POST', `/v1/complaints/${complaint}/transition`, { body: { to: 'rejected', reason: 'x' } })
      .expect(500);
    world.nextIds(undefined);
    expect(await log(id)).toHaveLength(1);
  });

  test('only admins can manage webhooks, and only in their tenant', async () => {
    const { url } = await receiver();
    const { id } = await add(url);
    for (const who of [complainant, agent]) {
      await world.call(who, 'GET', base).expect(403);
      await world.call(who, 'POST', base, { body: { url, events: ['complaint.filed'] } }).expect(403);
    }
    for (const [method, path] of [
      ['GET', ''],
      ['PATCH', ''],
      ['DELETE', ''],
      ['POST', '/ping'],
      ['POST', '/secret'],
      ['GET', '/deliveries'],
    ] as const) {
      await world
        .call(stranger, method, `${base}/${id}${path}`, method === 'PATCH' ? { body: { state: 'paused' } } : {})
        .expect(404);
    }
    expect((await world.call(stranger, 'GET', base).expect(200)).body.items).toEqual([]);
    expect(await read(id)).toMatchObject({ state: 'active' });
  });

  test.each([
    'https://10.0.0.1/',
    'http://hooks.example.com/',
    'https://user@hooks.example.com/',
    'https://169.254.169.254/x',
  ])('refuses the URL %s', async (url) => {
    const { body } = await world.call(admin, 'POST', base, { body: { url, events: ['complaint.filed'] } }).expect(422);
    expect(body.errors[0].path).toBe('url');
  });

  test('a tenant can have up to 20 webhooks', async () => {
    const tries = Array.from({ length: 22 }, () =>
      world.call(admin, 'POST', base, { body: { url: 'https://hooks.example.com/', events: ['complaint.moved'] } }),
    );
    const statuses = (await Promise.all(tries)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 201)).toHaveLength(20);
    expect(statuses.filter((status) => status === 409)).toHaveLength(2);
  });

  test('slow receivers of a tenant use at most five slots, and do not delay another tenant’s receiver', async () => {
    let held = 0;
    const slow = await receiver(() => {
      held += 1;
    });
    for (let at = 0; at < 20; at += 1) await add(slow.url);
    await stop();
    stop = await startCourier({ timeoutMs: 20_000 });
    await fileComplaint();
    await eventually(() => expect(held).toBe(5));
    const fast = await receiver();
    const body = { url: fast.url, events: ['complaint.filed'] };
    const hook = (await world.call(stranger, 'POST', base, { body }).expect(201)).body;
    await world.call(stranger, 'POST', `${base}/${hook.id}/ping`).expect(202);
    await eventually(() => expect(fast.types()).toEqual(['ping']));
    expect(held).toBe(5);
    await world.call(stranger, 'DELETE', `${base}/${hook.id}`).expect(204);
    await stop();
    stop = await startCourier();
  });

  test('upkeep drops deliveries of a disabled webhook, and of one that was paused for three days', async () => {
    const { url } = await receiver();
    const hooks = { ended: await add(url), paused: await add(url), resumed: await add(url) };
    await stop();
    for (const { id } of Object.values(hooks)) {
      await world.call(admin, 'PATCH', `${base}/${id}`, { body: { state: 'paused' } }).expect(200);
    }
    const states = async () => {
      const logs = await Promise.all(Object.values(hooks).map(({ id }) => log(id)));
      return logs.map((entries) => entries.map(({ state }: { state: string }) => state));
    };
    /** After upkeep, the deliveries of each webhook are in these states, newest first. */
    const upkeepLeaves = async (expected: string[][]) => {
      const stopUpkeep = await startUpkeep(world.flows, world.log.logger);
      await eventually(async () => expect(await states()).toEqual(expected));
      await stopUpkeep();
    };
    await fileComplaint();
    // Simulates a delivery that was queued by a transaction that had not seen the webhook being disabled.
    await world.db.transaction({ role: courierRole }, (trx) =>
      sql`update webhooks set state = 'ended', ended_reason = 'failing' where id = ${hooks.ended.id}`.execute(trx),
    );
    await upkeepLeaves([['failed'], ['waiting'], ['waiting']]);
    await world.as(admin, (trx) =>
      sql`update webhook_deliveries set queued_at = queued_at - interval '73 hours'`.execute(trx),
    );
    await fileComplaint();
    await world.call(admin, 'PATCH', `${base}/${hooks.resumed.id}`, { body: { state: 'active' } }).expect(200);
    await upkeepLeaves([['failed'], ['waiting', 'failed'], ['waiting', 'waiting']]);
    stop = await startCourier();
    await eventually(async () => expect((await states())[2]).toEqual(['delivered', 'delivered']));
  });

  test('upkeep keeps deliveries in the log for 30 days', async () => {
    const { url, types } = await receiver();
    const { id } = await add(url);
    await fileComplaint();
    await eventually(() => expect(types()).toHaveLength(1));
    await eventually(async () => expect((await log(id))[0]).toMatchObject({ state: 'delivered' }));
    expect(await removeExpired(world.db, 'webhook_deliveries')).toBe(0);
  });
});
