import { type Mailer, smtpMailer } from '@countersign/mail';
import { databases, eventually, type SmtpSink, smtpSink } from '@countersign/testing';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { sql } from 'kysely';
import type { Addressee } from '../src/domain/people.ts';
import { runErasures } from '../src/flows/erasure.ts';
import { startMailCourier } from '../src/flows/mail.ts';
import { mailChannel } from '../src/store/mail.ts';
import { mailerRole } from '../src/store/roles.ts';
import { complaintsWorld, directoryOf, people } from './world.ts';

const { complainant, agent, secondAgent, admin } = people;
const day = 24 * 3600_000;

describe.each(databases())('email on %s', (_kind, database) => {
  let world: Awaited<ReturnType<typeof complaintsWorld>>;
  let sink: SmtpSink;
  let stop: () => Promise<void>;
  const disabled = new Set<string>();
  /** What the users-service knows when an email is sent. */
  const directory = new Map<string, Addressee>();
  const fillDirectory = () => {
    for (const [name, { userId: id, role, tenantId }] of Object.entries(people)) {
      directory.set(`${tenantId} ${id}`, { id, role, status: 'active', email: `${name}@mail.test` });
    }
  };
  const bySmtp = () => smtpMailer({ url: sink.url, from: 'a@countersign.test', requireTls: false });
  const start = (mailer: Mailer = bySmtp()) => {
    return startMailCourier({
      db: world.db,
      logger: world.log.logger,
      mailer,
      addresses: async (tenantId, userId) => directory.get(`${tenantId} ${userId}`),
      linkBase: 'https://app.example.test/complaints',
      now: world.flows.now,
    });
  };
  beforeAll(async () => {
    world = await complaintsWorld(database, directoryOf(undefined, disabled));
    sink = await smtpSink();
    fillDirectory();
    stop = await start();
  });
  afterAll(async () => {
    await stop();
    await sink.close();
    await world.close();
  });
  afterEach(() => {
    sink.refuseWith(undefined);
    fillDirectory();
  });

  const post = (who: typeof agent, path: string, body: object) =>
    world.call(who, 'POST', `/v1/complaints${path}`, { body });
  const file = async (title: string, more = {}, who = complainant): Promise<string> =>
    (await post(who, '', { title, description: 'Private text', category: 'light', ...more }).expect(201)).body.id;
  const waiting = async () => (await world.rows())[0]?.mail_outbox ?? [];
  const settled = () =>
    eventually(async () => {
      const rows = await waiting();
      if (rows.length > 0) throw new Error(`${rows.length} mails wait`);
    });
  const mails = (title: string) => sink.received.filter(({ subject }) => subject.endsWith(`: ${title}`));
  const sentMails = (title: string) => mails(title).map(({ to, subject }) => `${to} ${subject.split(':')[0]}`);
  const change = (statement: ReturnType<typeof sql>) =>
    world.db.transaction({ role: mailerRole }, async (trx) => {
      await statement.execute(trx);
      await sql`select pg_notify(${mailChannel}, '')`.execute(trx);
    });
  const retryNow = () => change(sql`update mail_outbox set due_at = clock_timestamp()`);
  const failedOnce = () =>
    eventually(async () => {
      const rows = await waiting();
      if (!rows.some(({ last_error }) => last_error !== null)) throw new Error('not tried yet');
    });

  test('the complainant and watchers get an email with only the title and a link, and the actor gets none', async () => {
    const id = await file('Lamp 1');
    await post(agent, `/${id}/assign`, { assignee_id: secondAgent.userId }).expect(200);
    await settled();
    expect(sentMails('Lamp 1').toSorted()).toEqual([
      'complainant@mail.test A complaint was assigned',
      'secondAgent@mail.test A complaint was assigned',
    ]);
    await post(secondAgent, `/${id}/comments`, { body: 'Private note', internal: true }).expect(201);
    await post(complainant, `/${id}/comments`, { body: 'Private question' }).expect(201);
    await post(secondAgent, `/${id}/comments`, { body: 'Private answer' }).expect(201);
    await settled();
    expect(sentMails('Lamp 1').slice(2)).toEqual(['complainant@mail.test A complaint has a new answer']);
    await post(secondAgent, `/${id}/transition`, { to: 'in_progress' }).expect(200);
    await post(secondAgent, `/${id}/transition`, { to: 'resolved' }).expect(200);
    await post(complainant, `/${id}/transition`, { to: 'closed' }).expect(200);
    await settled();
    expect(sentMails('Lamp 1').slice(3)).toEqual([
      'complainant@mail.test A complaint was resolved',
      'secondAgent@mail.test A complaint was closed',
    ]);
    for (const { raw } of mails('Lamp 1')) expect(raw).not.toContain('Private');
    expect(mails('Lamp 1')[0]?.text).toContain(`\nhttps://app.example.test/complaints/${id}\n`);
  });

  test('emails about a rejection or a duplicate do not contain the reason', async () => {
    const [first, second] = [await file('Lamp 2'), await file('Lamp 3')];
    const reason = 'Private reason';
    await post(agent, `/${first}/transition`, { to: 'rejected', reason }).expect(200);
    await post(agent, `/${second}/transition`, { to: 'duplicate', reason, duplicate_of: first }).expect(200);
    await settled();
    expect(sentMails('Lamp 2')).toEqual(['complainant@mail.test A complaint was rejected']);
    expect(sentMails('Lamp 3')).toEqual(['complainant@mail.test A complaint was marked as a duplicate']);
    const [merged] = mails('Lamp 3');
    expect(merged?.raw).not.toMatch(new RegExp(`Private|${first}`));
  });

  test('people who want no email, have left, or are disabled get none', async () => {
    const phone = await file('Lamp 4', { contact_preference: 'phone' });
    await post(agent, `/${phone}/comments`, { body: 'Answer' }).expect(201);
    const key = `${complainant.tenantId} ${complainant.userId}`;
    directory.delete(key);
    await post(agent, `/${await file('Lamp 5')}/comments`, { body: 'Answer' }).expect(201);
    await settled();
    directory.set(key, { id: complainant.userId, role: 'complainant', status: 'inactive', email: 'off@mail.test' });
    await post(agent, `/${await file('Lamp 6')}/comments`, { body: 'Answer' }).expect(201);
    await settled();
    expect(['Lamp 4', 'Lamp 5', 'Lamp 6'].flatMap(sentMails)).toEqual([]);
  });

  test('a former agent who watches another person’s complaint gets no email', async () => {
    const id = await file('Lamp 7');
    await world.call(secondAgent, 'PUT', `/v1/complaints/${id}/watching`).expect(204);
    const was = { id: secondAgent.userId, status: 'active', email: 'was-agent@mail.test' };
    directory.set(`${secondAgent.tenantId} ${secondAgent.userId}`, { ...was, role: 'complainant' });
    await post(agent, `/${id}/comments`, { body: 'Answer' }).expect(201);
    await settled();
    expect(sentMails('Lamp 7')).toEqual(['complainant@mail.test A complaint has a new answer']);
  });

  test('a person without an account gets an email without a link, at the address in the complaint', async () => {
    const reporter = { name: 'Private name', email: 'caller@mail.test' };
    for (const contact_preference of ['email', 'none']) {
      const id = await file('Lamp 8', { reporter, contact_preference }, agent);
      await post(secondAgent, `/${id}/comments`, { body: 'Answer' }).expect(201);
    }
    await settled();
    expect(sentMails('Lamp 8')).toEqual(['caller@mail.test A complaint has a new answer']);
    expect(mails('Lamp 8')[0]?.raw).not.toMatch(/Private|https/);
  });

  test('a refused email is sent later, once to each recipient, and no address is logged', async () => {
    sink.refuseWith('451 not now, complainant@mail.test');
    await post(agent, `/${await file('Lamp 10')}/comments`, { body: 'Answer' }).expect(201);
    await failedOnce();
    expect(sentMails('Lamp 10')).toEqual([]);
    sink.refuseWith(undefined);
    await retryNow();
    await settled();
    expect(sentMails('Lamp 10')).toEqual(['complainant@mail.test A complaint has a new answer']);
    expect(world.log.text()).toContain('cannot deliver an email; retrying');
    expect(world.log.text()).not.toContain('@mail.test');
  });

  test('emails that could not be sent for days are dropped', async () => {
    sink.refuseWith('550 no');
    await post(agent, `/${await file('Lamp 11')}/comments`, { body: 'Answer' }).expect(201);
    await failedOnce();
    world.moveClock(4 * day);
    await retryNow();
    await settled();
    world.moveClock(-4 * day);
    expect(sentMails('Lamp 11')).toEqual([]);
    expect(world.log.text()).toContain('gave up delivering an email');
  });

  test('a failed change queues no email, and a stopped courier leaves emails for the next one', async () => {
    await stop();
    const id = await file('Lamp 12');
    await post(agent, `/${id}/transition`, { to: 'closed' }).expect(409);
    expect(await waiting()).toEqual([]);
    await post(agent, `/${id}/comments`, { body: 'Answer' }).expect(201);
    expect(await waiting()).toHaveLength(1);
    stop = await start();
    await settled();
    expect(sentMails('Lamp 12')).toHaveLength(1);
  });

  test('an email that is being sent when the service stops has five seconds to end, so that it is not sent twice', async () => {
    await stop();
    const sending = Promise.withResolvers<AbortSignal>();
    const send: Mailer['send'] = (_mail, signal) => {
      sending.resolve(signal);
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    };
    const stopHanging = await start({ send, close() {} });
    await post(agent, `/${await file('Lamp 14')}/comments`, { body: 'Answer' }).expect(201);
    const signal = await sending.promise;
    // Everything except `setTimeout`, which ends the time that an email has.
    const doNotFake = [
      'Date',
      'hrtime',
      'nextTick',
      'performance',
      'queueMicrotask',
      'setImmediate',
      'setInterval',
    ] as const;
    jest.useFakeTimers({ doNotFake: [...doNotFake] });
    const stopped = stopHanging();
    jest.advanceTimersByTime(4_999);
    const before = signal.aborted;
    jest.advanceTimersByTime(1);
    jest.useRealTimers();
    expect([before, signal.aborted]).toEqual([false, true]);
    await stopped;
    stop = await start();
    await retryNow();
    await settled();
    expect(sentMails('Lamp 14')).toHaveLength(1);
  });

  test('emails to a person are erased with the person', async () => {
    sink.refuseWith('451 not now');
    await post(agent, `/${await file('Lamp 13')}/comments`, { body: 'Answer' }).expect(201);
    await failedOnce();
    disabled.add(complainant.userId);
    await world
      .call(admin, 'POST', '/v1/complaints/erasures', {
        body: { user_id: complainant.userId },
        context: { authTime: Math.floor(Date.now() / 1000) - 60 },
      })
      .expect(202);
    world.moveClock(3 * day);
    expect(await waiting()).toHaveLength(1);
    await runErasures({ ...world.flows, logger: world.log.logger }, new AbortController().signal);
    expect(await waiting()).toEqual([]);
  });
});
