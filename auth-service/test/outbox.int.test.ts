import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { leaseSec, openDatabase } from '@countersign/database';
import { smtpMailer } from '@countersign/mail';
import {
  capturingLogger,
  databases,
  eventually,
  type RecordingUpstream,
  recordingUpstream,
  startProcess,
  type ThrowAway,
} from '@countersign/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import request from 'supertest';
import { type Deliver, orderMail, queueMembership, retryDelayMs, startCourier } from '../src/flows/mail/deliver.ts';
import type { RunningService } from '../src/service.ts';
import { addToOutbox, type Delivery, outboxOf } from '../src/store/mail/outbox.ts';
import type { AuthSchema } from '../src/store/schema.ts';
import { type AuthDatabase, roles } from '../src/store/transaction.ts';
import { type AccountsWorld, accountsWorld, freshEmail, newPassword } from './support/accounts-world.ts';
import { testGateway } from './support/gateway.ts';
import { tokenIn } from './support/mailed-token.ts';
import { openProbed, probedDatabase, probing } from './support/probed-database.ts';
import { startService } from './support/service.ts';

/** Everything except `setTimeout`, which ends the time that a delivery has after a stop. */
const realTimers = [
  'Date',
  'hrtime',
  'nextTick',
  'performance',
  'queueMicrotask',
  'setImmediate',
  'setInterval',
] as const;

/** Claims emails, then waits for a mail server that never responds. */
const sendsForEver = `
  import { startCourier } from ${JSON.stringify(new URL('../src/flows/mail/deliver.ts', import.meta.url).href)};
  import { openAgain } from ${JSON.stringify(new URL('./support/probed-database.ts', import.meta.url).href)};
  const db = await openAgain({ location: JSON.parse(process.env.LOCATION), name: process.env.NAME });
  const mail = () => new Promise(() => { console.log('sending'); setInterval(() => {}, 60_000); });
  await startCourier({ db, logger: console, deliver: { mail, membership: mail } });`;

describe.each(databases())('the outbox on %s', (_, database) => {
  let store: ThrowAway<AuthSchema>;
  beforeAll(async () => {
    store = await openProbed(database);
  });
  afterAll(() => store.close());
  beforeEach(() => probing(store.db, (trx) => trx.deleteFrom('outbox').execute()));

  const sendUpdate = (userId: string, role = 'agent', beforeCommit = async () => {}) =>
    store.db.transaction({ role: roles.accounts }, async (trx) => {
      await addToOutbox(trx, 'membership', `member ${userId}`, { user_id: userId, role });
      await beforeCommit();
    });
  const memberships = () => outboxOf(store.db, 'membership');
  const claim = () => memberships().claim(10);
  const whom = (claimed: readonly Delivery[]) =>
    claimed.map(({ payload }) => {
      const { user_id, role } = JSON.parse(payload) as Record<string, string>;
      return `${user_id} ${role}`;
    });
  const expireLeases = () =>
    probing(store.db, (trx) =>
      trx
        .updateTable('outbox')
        .set({ leased_until: new Date(0), due_at: new Date(0) })
        .execute(),
    );

  test('leases each person’s deliveries in order, and different people’s in parallel', async () => {
    for (const role of ['one', 'two']) await sendUpdate('ann', role);
    await sendUpdate('bob', 'one');
    const first = await claim();
    expect(whom(first).sort()).toEqual(['ann one', 'bob one']);
    expect(await claim()).toEqual([]);
    for (const delivery of first) await memberships().remove(delivery);
    expect(whom(await claim())).toEqual(['ann two']);
  });

  // PGlite runs one transaction at a time, so the first to write is the first to commit.
  if (database.kind === 'postgres') {
    test('leases a delivery that commits late, even after later ones were delivered', async () => {
      await sendUpdate('slow', 'one', async () => {
        await sendUpdate('fast', 'one');
        const claimed = await claim();
        expect(whom(claimed)).toEqual(['fast one']);
        for (const delivery of claimed) await memberships().remove(delivery);
      });
      expect(whom(await claim())).toEqual(['slow one']);
    });
  }

  test('keeps the order when the first of two deliveries fails', async () => {
    for (const role of ['one', 'two']) await sendUpdate('ann', role);
    const [first] = await claim();
    if (first === undefined) throw new Error('nothing to deliver');
    expect(await memberships().nextDueMs()).toBeGreaterThan((leaseSec - 10) * 1000);
    await memberships().postpone(first, { error: 'x', delayMs: 3600_000 });
    expect(await claim()).toEqual([]);
    // It does not poll all the time: the second delivery is due, but must wait for the first.
    expect(await memberships().nextDueMs()).toBeGreaterThan(3_500_000);
    await expireLeases();
    expect(whom(await claim())).toEqual(['ann one']);
  });

  test('leases a delivery again after the process that held it died', async () => {
    await sendUpdate('ann');
    await claim();
    expect(await claim()).toEqual([]);
    await expireLeases();
    const [again] = await claim();
    expect(again?.attempts).toBe(2);
  });

  test('skips parked deliveries', async () => {
    for (const role of ['one', 'two']) await sendUpdate('ann', role);
    const [first] = await claim();
    if (first === undefined) throw new Error('nothing to deliver');
    await memberships().postpone(first, { error: 'x', delayMs: undefined });
    expect(whom(await claim())).toEqual(['ann two']);
  });

  test('ignores the result of a process whose lease has expired', async () => {
    await sendUpdate('ann');
    const [slow] = await claim();
    await expireLeases();
    await claim();
    if (slow === undefined) throw new Error('nothing to deliver');
    await memberships().postpone(slow, { error: 'x', delayMs: 0 });
    expect(await claim()).toEqual([]);
  });

  test('roles that only add to the outbox can neither read nor empty it', async () => {
    const tries = [
      (db: AuthDatabase) =>
        db.transaction({ role: roles.accounts }, (trx) => trx.selectFrom('outbox').selectAll().execute()),
      (db: AuthDatabase) => db.transaction({ role: roles.accounts }, (trx) => trx.deleteFrom('outbox').execute()),
      (db: AuthDatabase) =>
        db.transaction({ role: roles.app }, (trx) => trx.selectFrom('outbox').selectAll().execute()),
    ];
    for (const attempt of tries) await expect(attempt(store.db)).rejects.toThrow(/permission denied/);
  });

  test('two couriers together deliver everything, and each person’s deliveries in order', async () => {
    const second = database.kind === 'postgres' ? await again(store) : undefined;
    const delivered: string[] = [];
    const inHand = new Map<string, number>();
    let failures = 0;
    const deliver: Deliver = async ({ payload }) => {
      const { user_id: user = '', role } = payload as Record<string, string>;
      inHand.set(user, (inHand.get(user) ?? 0) + 1);
      expect(inHand.get(user)).toBe(1);
      await new Promise((resolve) => setImmediate(resolve));
      inHand.set(user, 0);
      failures += 1;
      if (failures % 7 === 0) throw new Error('not now');
      delivered.push(`${user} ${role}`);
    };
    const log = capturingLogger();
    const stops = await Promise.all(
      [store.db, second ?? store.db].map((db) =>
        startCourier({ db, logger: log.logger, deliver: { mail: deliver, membership: deliver } }),
      ),
    );
    const people = ['ann', 'bob', 'cyd', 'dan'];
    for (let turn = 0; turn < 6; turn += 1) await Promise.all(people.map((person) => sendUpdate(person, `r${turn}`)));
    await eventually(async () => {
      await probing(store.db, (trx) =>
        trx
          .updateTable('outbox')
          .set({ due_at: new Date(0) })
          .where('attempts', '>', 0)
          .where('leased_until', 'is', null)
          .execute(),
      );
      await sendUpdate('wake');
      for (const person of people) expect(delivered).toContain(`${person} r5`);
    }, 20_000);
    for (const stop of stops) await stop();
    for (const person of people) {
      const roles = delivered.filter((line) => line.startsWith(person)).map((line) => line.split(' ')[1]);
      expect(roles).toEqual(['r0', 'r1', 'r2', 'r3', 'r4', 'r5']);
    }
    await second?.close();
  });

  test('an email that is being sent when the service stops has five seconds to end, so that it is not sent twice', async () => {
    const sending = Promise.withResolvers<AbortSignal>();
    const mail: Deliver = (_delivery, signal) => {
      sending.resolve(signal);
      return new Promise<void>((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    };
    const { logger } = capturingLogger();
    const stop = await startCourier({ db: store.db, logger, deliver: { mail, membership: mail } });
    await store.db.transaction({ role: roles.accounts }, (trx) =>
      orderMail(trx, 'm', { kind: 'password_reset', email: 'e', requestId: 'r' }),
    );
    const signal = await sending.promise;
    jest.useFakeTimers({ doNotFake: [...realTimers] });
    const stopped = stop();
    jest.advanceTimersByTime(4_999);
    const before = signal.aborted;
    jest.advanceTimersByTime(1);
    jest.useRealTimers();
    expect([before, signal.aborted]).toEqual([false, true]);
    await stopped;
  });

  test('a hanging mail server does not delay membership updates, and its delivery is aborted in time', async () => {
    const began: string[] = [];
    const mail: Deliver = (_delivery, signal) => {
      began.push('mail');
      return new Promise<void>((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    };
    const membership = async () => void began.push('membership');
    const { logger } = capturingLogger();
    const stop = await startCourier({ db: store.db, logger, deliver: { mail, membership }, timeoutMs: 5_000 });
    await store.db.transaction({ role: roles.accounts }, (trx) =>
      orderMail(trx, 'm', { kind: 'password_reset', email: 'e', requestId: 'r' }),
    );
    await eventually(() => expect(began).toEqual(['mail']));
    await sendUpdate('ann');
    await eventually(() => expect(began).toEqual(['mail', 'membership']), 4_000);
    await eventually(async () => {
      const rows = await probing(store.db, (trx) => trx.selectFrom('outbox').selectAll().execute());
      expect(rows).toMatchObject([{ topic: 'mail', attempts: 1, leased_until: null, last_error: 'TimeoutError' }]);
    });
    await stop();
  });

  if (database.kind === 'postgres') {
    test('no other process sends an email while its sender runs, and another takes over within seconds of a kill', async () => {
      const victim = startProcess({
        args: ['--input-type=module', '--eval', sendsForEver],
        env: { LOCATION: JSON.stringify(store.location), NAME: store.name },
      });
      await store.db.transaction({ role: roles.accounts }, (trx) =>
        orderMail(trx, 'm', { kind: 'password_reset', email: 'e', requestId: 'r' }),
      );
      await victim.waitFor(/sending/);
      const leasedUntil = async () => {
        const rows = await probing(store.db, (trx) => trx.selectFrom('outbox').selectAll().execute());
        return rows[0]?.leased_until?.getTime() ?? 0;
      };
      const first = await leasedUntil();
      const sent: unknown[] = [];
      const mail: Deliver = async (delivery) => void sent.push(delivery);
      const { logger } = capturingLogger();
      const stop = await startCourier({ db: store.db, logger, deliver: { mail, membership: mail } });
      try {
        // Later than the end of its first lease.
        await eventually(async () => {
          expect(Date.now()).toBeGreaterThan(first + 1_000);
          expect(await leasedUntil()).toBeGreaterThan(Date.now());
        }, 30_000);
        expect(sent).toEqual([]);
        await victim.stop('SIGKILL');
        await eventually(() => expect(sent).toHaveLength(1), 15_000);
      } finally {
        await victim.stop('SIGKILL');
        await stop();
      }
    });
  }

  const again = async ({ location, name }: ThrowAway<AuthSchema>): Promise<AuthDatabase> =>
    openDatabase<AuthSchema>({ ...probedDatabase, location, name });
});

test('delays between retries grow up to a limit', () => {
  const delays = [1, 2, 3, 10, 60, 10_000].map((attempts) => retryDelayMs(attempts));
  expect(delays).toEqual([2_000, 4_000, 8_000, 900_000, 900_000, 900_000]);
  expect(retryDelayMs(9, 30_000)).toBe(30_000);
});

describe.each(databases())('email on %s', (_, database) => {
  let world: AccountsWorld;
  beforeAll(async () => {
    world = await accountsWorld(database);
  });
  afterAll(() => world.close());
  afterEach(() => world.mail.refuseWith(undefined));

  const forgot = (email: string) => world.post('/v1/auth/password/forgot', { email });
  const waiting = () => probing(world.store.db, (trx) => trx.selectFrom('outbox').selectAll().execute());
  const hurry = () =>
    probing(world.store.db, (trx) =>
      trx
        .updateTable('outbox')
        .set({ due_at: new Date(0) })
        .execute(),
    );

  test('an email that the server temporarily refuses is kept without secrets, and sent later', async () => {
    const who = await world.account('agent');
    world.mail.refuseWith('451 not now, says the server of ann@secret.test');
    expect((await forgot(who.email)).status).toBe(202);
    const row = await eventually(async () => {
      const [kept] = await waiting();
      if (kept?.last_error == null) throw new Error('not tried yet');
      return kept;
    });
    expect(row.last_error).toBe('Error EENVELOPE');
    expect(row.payload).not.toMatch(/[A-Za-z0-9_-]{43}/);
    world.mail.refuseWith(undefined);
    await hurry();
    await forgot(freshEmail());
    const token = tokenIn(await world.mail.mailTo(who.email));
    expect((await world.post('/v1/auth/password/reset', { token, password: 'a stapler under the piano' })).status).toBe(
      204,
    );
    expect(world.log.text()).not.toContain('ann@secret.test');
  });

  test('an email that the mail server refuses 17 times is parked and counted, and not before', async () => {
    const who = await world.account('agent');
    world.mail.refuseWith('550 no');
    await forgot(who.email);
    await eventually(async () => {
      const [kept] = await waiting();
      if (kept?.last_error == null) throw new Error('not tried yet');
    });
    const triedAgainAt = async (attempts: number) => {
      await probing(world.store.db, (trx) =>
        trx
          .updateTable('outbox')
          .set({ attempts, due_at: new Date(0) })
          .execute(),
      );
      await forgot(freshEmail());
      await eventually(async () => expect((await waiting())[0]?.attempts).toBe(attempts + 1));
      await eventually(async () => expect((await waiting())[0]?.leased_until).toBeNull());
      return (await waiting()).filter(({ parked_at }) => parked_at !== null).length;
    };
    expect([await triedAgainAt(15), await triedAgainAt(16)]).toEqual([0, 1]);
    const { text } = await request(`http://127.0.0.1:${world.service.port}`).get('/metrics');
    expect(text).toMatch(/^auth_outbox_parked\{topic="mail"\} 1$/m);
    expect(text).toMatch(/^auth_outbox_deliveries_total\{topic="mail",result="parked"\} 1$/m);
    expect(world.mail.received.filter(({ to }) => to === who.email)).toEqual([]);
  });
});

test('an abort ends a delivery to a very slow mail server', async () => {
  const server = createServer((socket) => {
    const drops = setInterval(() => socket.write('x'), 10);
    socket.once('end', () => socket.destroy()).once('close', () => clearInterval(drops));
    socket.on('error', () => {}).resume();
    socket.write('220 slow\r\n250-');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const mailer = smtpMailer({ url: `smtp://127.0.0.1:${port}`, from: 'a@example.test', requireTls: false });
  const mail = { kind: 'password_changed', to: 'b@example.test', subject: 's', text: 't', link: undefined } as const;
  await expect(mailer.send(mail, AbortSignal.timeout(300))).rejects.toMatchObject({ code: 'EABORT' });
  // It also settles after the connection is closed.
  const closed = once(server, 'close');
  server.close();
  await closed;
  mailer.close();
});

describe('without a mail server', () => {
  const home = mkdtempSync(join(tmpdir(), 'countersign-mail-'));
  afterAll(() => rmSync(home, { recursive: true }));
  const [first] = databases();

  test('an email becomes a file that only our user can read, and its link is logged', async () => {
    if (first === undefined) throw new Error('there is no database');
    const world = await accountsWorld(first[1], {
      AUTH_SMTP_URL: '',
      COUNTERSIGN_HOME: home,
      AUTH_LINK_BASE_URL: '',
    });
    const email = freshEmail();
    await world.post('/v1/auth/register', { email });
    const line = await eventually(() => {
      const found = world.log.lines().find(({ mail }) => mail === 'verification');
      if (found === undefined) throw new Error('no mail yet');
      return found;
    });
    expect(line).toMatchObject({
      to: email,
      link: expect.stringMatching(/^https:\/\/id\.example\.test\/verify-email\?token=/),
    });
    const [name = ''] = readdirSync(join(home, 'mail'));
    expect(name).toMatch(/-verification-.*\.eml$/);
    expect(statSync(join(home, 'mail', name)).mode & 0o077).toBe(0);
    const eml = readFileSync(join(home, 'mail', name), 'utf8');
    expect(eml).toContain(`To: ${email}\r\n`);
    expect(eml).toContain(`\r\n${String(line.link)}\r\n`);
    const token = String(line.link).split('?token=')[1];
    expect((await world.post('/v1/auth/email/verify', { token, password: newPassword })).status).toBe(204);
    await world.close();
  });
});

describe.each(databases())('membership updates on %s', (_, database) => {
  let listener: RecordingUpstream;
  let status = 200;
  let store: ThrowAway<AuthSchema>;
  let service: RunningService;
  let gateway: Awaited<ReturnType<typeof testGateway>>;
  const key: { privateKey: KeyObject } = generateKeyPairSync('ed25519');
  beforeAll(async () => {
    listener = await recordingUpstream({
      answer: (_req, res) => void res.writeHead(status, { 'content-type': 'application/json' }).end('{"applied":true}'),
    });
    store = await openProbed(database);
    gateway = await testGateway();
    service = await startService(store.db, gateway, capturingLogger().logger, {
      GATEWAY_INTERNAL_URL: listener.url,
      SERVICE_KEY: JSON.stringify({ ...key.privateKey.export({ format: 'jwk' }), kid: 'auth-service-key' }),
    });
  });
  afterAll(async () => {
    await service.stop();
    await gateway.close();
    await store.close();
    await listener.close();
  });

  let sequence = 0;
  const nextSequence = () => {
    sequence += 1;
    return sequence;
  };
  const sendUpdate = (userId: string, role: string) =>
    store.db.transaction({ role: roles.accounts }, (trx) =>
      queueMembership(trx, {
        sequence: nextSequence(),
        tenant_id: 'acme',
        user_id: userId,
        email: 'e@x.test',
        role,
        status: 'active',
      }),
    );
  const sentUpdates = (userId: string, target = '/internal/memberships') =>
    listener.requests
      .filter((each) => each.target === target)
      .map((each) => JSON.parse(each.body.toString()) as Record<string, unknown>)
      .filter(({ user_id }) => user_id === userId);

  test('a membership update is sent through the internal listener, signed by this service, without a user', async () => {
    await sendUpdate('ann', 'agent');
    await eventually(() => expect(sentUpdates('ann')).toHaveLength(1));
    expect(sentUpdates('ann')[0]).toEqual({
      event_id: expect.any(String),
      sequence: expect.any(Number),
      tenant_id: 'acme',
      user_id: 'ann',
      email: 'e@x.test',
      role: 'agent',
      status: 'active',
    });
    // The complaint-service does not need the address.
    const complaints = () => sentUpdates('ann', '/internal/complaints/memberships');
    await eventually(() => expect(complaints()).toHaveLength(1));
    const { email: _, ...rest } = sentUpdates('ann')[0] ?? {};
    expect(complaints()[0]).toEqual(rest);
    const sent = listener.requests.at(-1);
    expect(sent?.method).toBe('POST');
    expect(String(sent?.headers['signature-input'])).toMatch(/keyid="auth-service-key".*tag="countersign-service-v2"/);
    expect(sent?.headers['txn-token']).toBeUndefined();
  });

  test.each([[503], [403], [404], [422]])(
    'membership updates are kept while the response is %s, and then arrive in order',
    async (answer) => {
      const userId = `bob-${answer}`;
      status = answer;
      for (const role of ['complainant', 'agent', 'admin']) await sendUpdate(userId, role);
      await eventually(() => expect(sentUpdates(userId).length).toBeGreaterThan(0));
      expect(new Set(sentUpdates(userId).map(({ role }) => role))).toEqual(new Set(['complainant']));
      status = 200;
      await eventually(async () => {
        await probing(store.db, (trx) =>
          trx
            .updateTable('outbox')
            .set({ due_at: new Date(0) })
            .execute(),
        );
        await sendUpdate('wake', 'agent');
        expect(sentUpdates(userId).at(-1)?.role).toBe('admin');
      });
      const sequences = sentUpdates(userId).map(({ sequence }) => Number(sequence));
      expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
      expect([...new Set(sentUpdates(userId).map(({ role }) => role))]).toEqual(['complainant', 'agent', 'admin']);
    },
  );
});
