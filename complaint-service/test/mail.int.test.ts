import { type Mailer, smtpMailer } from '@countersign/mail';
import { databases, eventually, type SmtpSink, smtpSink, tenants } from '@countersign/testing';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { sql } from 'kysely';
import request from 'supertest';
import type { Addressee } from '../src/domain/people.ts';
import { runErasures } from '../src/flows/erasure.ts';
import { startMailCourier } from '../src/flows/mail.ts';
import { applyMembershipUpdate } from '../src/flows/memberships.ts';
import { mailChannel } from '../src/store/mail.ts';
import { mailerRole } from '../src/store/roles.ts';
import { complaintsWorld, directoryOf, people } from './world.ts';

const { complainant, neighbour, agent, secondAgent, admin, stranger, strangerComplainant } = people;
const day = 24 * 3600_000;
const locales: Readonly<Record<string, string | null>> = { complainant: 'de-AT', agent: 'en-GB', admin: 'de' };

describe.each(databases())('email on %s', (_kind, database) => {
  let world: Awaited<ReturnType<typeof complaintsWorld>>;
  let sink: SmtpSink;
  let stop: () => Promise<void>;
  const disabled = new Set<string>();
  /** What the users-service knows when an email is sent. */
  const directory = new Map<string, Addressee>();
  const fillDirectory = () => {
    for (const [name, { userId: id, role, tenantId }] of Object.entries(people)) {
      const known = { id, role, status: 'active', email: `${name}@mail.test`, name: `The ${name}` };
      directory.set(`${tenantId} ${id}`, { ...known, locale: locales[name] ?? null });
    }
  };
  const bySmtp = () => smtpMailer({ url: sink.url, from: 'Acme <a@countersign.test>', requireTls: false });
  const start = (mailer: Mailer = bySmtp(), burstMs = 0) =>
    startMailCourier({
      db: world.db,
      logger: world.log.logger,
      mailer,
      addresses: async (tenantId, ids) =>
        new Map(ids.flatMap((id) => [directory.get(`${tenantId} ${id}`) ?? []].flat().map((one) => [id, one]))),
      linkBase: 'https://app.example.test/complaints',
      tokens: world.flows.unsubscribeTokens,
      now: world.flows.now,
      burstMs,
    });
  beforeAll(async () => {
    world = await complaintsWorld(database, directoryOf(undefined, disabled));
    sink = await smtpSink();
    fillDirectory();
    const update = { user_id: 'x', role: 'complainant', status: 'active', sequence: 1 } as const;
    const tenant = { slug: 'acme', name: 'Acme' };
    await applyMembershipUpdate(world.flows, { ...update, tenant_id: tenants.acme, tenant });
    const { body: team } = await world
      .call(admin, 'POST', '/v1/teams', { body: { name: 'Roads', members: [secondAgent.userId] } })
      .expect(201);
    await world.call(admin, 'POST', '/v1/categories', { body: { name: 'road', team_id: team.id } }).expect(201);
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

  type Filed = Readonly<{ id: string; number: string }>;
  const post = (who: typeof agent, path: string, body: object) =>
    world.call(who, 'POST', `/v1/complaints${path}`, { body });
  const file = async (more = {}, who = complainant): Promise<Filed> => {
    const body = { title: 'A lamp', description: 'Private text', category: 'light', ...more };
    return (await post(who, '', body).expect(201)).body;
  };
  const answer = ({ id }: Filed, body = 'An answer', who = agent) => post(who, `/${id}/comments`, { body }).expect(201);
  const waiting = async () => (await world.rows()).flatMap(({ mails = [] }) => mails);
  const settled = () =>
    eventually(async () => {
      const rows = await waiting();
      if (rows.length > 0) throw new Error(`${rows.length} mails wait`);
    }, 30_000);
  const mailsAbout = ({ number }: Filed) =>
    sink.received.filter(({ text, subject }) => (subject + text).includes(number));
  const sent = (about: Filed, from = 0) =>
    mailsAbout(about)
      .slice(from)
      .map(({ to, subject }) => `${to} ${subject}`);
  const change = (statement: ReturnType<typeof sql>) =>
    world.db.transaction({ role: mailerRole, tenantId: tenants.acme }, async (trx) => {
      await statement.execute(trx);
      await sql`select pg_notify(${mailChannel}, '')`.execute(trx);
    });
  const retryNow = () => change(sql`update mails set due_at = clock_timestamp()`);
  const failedOnce = (count = 1) =>
    eventually(async () => {
      const failed = (await waiting()).filter(({ last_error }) => last_error !== null);
      if (failed.length < count) throw new Error('not tried yet');
    });

  const news = (number: string) => `[${number}] Neues zu einer Beschwerde`;
  const both = (number: string) =>
    `[${number}] News about a complaint assigned to you / Neues zu einer Beschwerde, die Ihnen zugewiesen ist`;

  test('each change reaches whom it concerns, with its text and its author, in their language', async () => {
    const about = await file({ category: 'road' });
    const { id, number } = about;
    await settled();
    expect(sent(about).toSorted()).toEqual([
      `complainant@mail.test [${number}] Wir haben Ihre Beschwerde erhalten`,
      `secondAgent@mail.test [${number}] New complaints / Neue Beschwerden`,
    ]);
    expect(
      sink.received
        .find(({ to }) => to === 'complainant@mail.test')
        ?.text.trimEnd()
        .split('\n'),
    ).toEqual([
      `Ihre Beschwerde ist bei Acme eingegangen. Sie hat die Nummer ${number}. Wir schreiben Ihnen, wenn sich etwas ändert.`,
      '',
      '> A lamp',
      '',
      'Hier öffnen:',
      `https://app.example.test/complaints/${id}`,
      '',
      'Um keine E-Mails dieser Art mehr zu erhalten, verwenden Sie „Abmelden“ in Ihrem E-Mail-Programm.',
    ]);
    const toComplainant = `complainant@mail.test ${news(number)}`;
    const toAssignee = `secondAgent@mail.test ${both(number)}`;
    const move = (who: typeof agent, to: string, reason?: string) => post(who, `/${id}/transition`, { to, reason });
    type Step = [what: () => Promise<{ status: number }>, mails: Record<string, string[]>];
    const steps: Step[] = [
      [
        async () => post(agent, `/${id}/assign`, { assignee_id: secondAgent.userId }),
        {
          [toComplainant]: ['„The agent“ hat die Beschwerde „The secondAgent“ zugewiesen.'],
          [toAssignee]: ['“The agent” assigned the complaint to “The secondAgent”.', '„The agent“ hat'],
        },
      ],
      [
        async () => post(complainant, `/${id}/comments`, { body: 'When?' }),
        { [toAssignee]: ['“The complainant” wrote:\n\n> When?', '„The complainant“ hat geschrieben:\n\n> When?'] },
      ],
      [
        async () => post(admin, `/${id}/comments`, { body: 'SECRET', internal: true }),
        { [toAssignee]: ['“The admin” wrote an internal note. Open the complaint to read it.'] },
      ],
      [
        async () => post(secondAgent, `/${id}/comments`, { body: 'Soon.\nOr later.' }),
        { [toComplainant]: ['„The secondAgent“ hat geschrieben:\n\n> Soon.\n> Or later.'] },
      ],
      [
        async () => move(secondAgent, 'in_progress'),
        { [toComplainant]: ['hat mit der Arbeit an der Beschwerde begonnen'] },
      ],
      [
        async () => move(secondAgent, 'resolved', 'A new bulb'),
        { [toComplainant]: ['hat die Beschwerde als gelöst gemeldet.\n\nDie Antwort:\n\n> A new bulb'] },
      ],
      [
        async () => move(complainant, 'reopened', 'Still dark'),
        { [toAssignee]: ['“The complainant” reopened the complaint.\n\nThe reason:\n\n> Still dark'] },
      ],
      [
        async () => move(admin, 'withdrawn', 'A mistake'),
        {
          [toComplainant]: ['„The admin“ hat die Beschwerde zurückgezogen.\n\nDer Grund:\n\n> A mistake'],
          [toAssignee]: ['“The admin” withdrew the complaint.\n\nThe reason:\n\n> A mistake'],
        },
      ],
    ];
    for (const [act, expected] of steps) {
      const before = mailsAbout(about).length;
      expect((await act()).status).toBeLessThan(300);
      await settled();
      expect(sent(about, before).toSorted()).toEqual(Object.keys(expected).toSorted());
      for (const { to, subject, text } of mailsAbout(about).slice(before)) {
        for (const part of expected[`${to} ${subject}`] ?? []) expect(text).toContain(part);
        expect(text).toContain(`\nhttps://app.example.test/complaints/${id}\n`);
        expect(text).toContain(' Acme');
      }
    }
    for (const { raw } of mailsAbout(about)) expect(raw).not.toMatch(/SECRET|Private/);
  });

  test('the reporter of a duplicate reads the reason, but not which complaint is the original', async () => {
    const [first, second] = [await file({ title: 'Other title' }, neighbour), await file()];
    const body = { to: 'duplicate', reason: 'Known', duplicate_of: first.id };
    await post(agent, `/${second.id}/transition`, body).expect(200);
    await settled();
    const [, merged] = mailsAbout(second).filter(({ to }) => to === 'complainant@mail.test');
    expect(merged?.text).toContain('> Known');
    expect(merged?.raw).not.toMatch(new RegExp(`Other|${first.id}|${first.number}`));
  });

  test('an agent who files a complaint for themselves hears of no internal note', async () => {
    const about = await file({}, secondAgent);
    await post(agent, `/${about.id}/assign`, { assignee_id: secondAgent.userId }).expect(200);
    await settled();
    const before = sent(about).length;
    await post(agent, `/${about.id}/comments`, { body: 'SECRET', internal: true }).expect(201);
    await settled();
    expect(sent(about, before)).toEqual([]);
  });

  test('a person without an account gets only the number and a link, because the address is not confirmed', async () => {
    const reporter = { name: 'Private name', email: 'caller@mail.test' };
    const about = await file({ reporter, title: 'Private title' }, agent);
    const silent = await file({ reporter, contact_preference: 'none' }, agent);
    for (const each of [about, silent]) await answer(each, 'Private answer', secondAgent);
    await settled();
    const found = sink.received.filter(({ to }) => to === 'caller@mail.test');
    expect(found.map(({ subject }) => subject.split(' / ')[0])).toEqual([
      `[${about.number}] We have received your complaint`,
      `[${about.number}] News about a complaint`,
    ]);
    for (const { raw, text } of found) {
      expect(raw).not.toContain('Private');
      for (const part of ['Acme', 'Beschwerde', about.number, `/complaints/${about.id}`]) expect(text).toContain(part);
    }
  });

  test('people who want no email, have left, or are disabled get none', async () => {
    const filed = [await file({ contact_preference: 'phone' })];
    await answer(filed[0] as Filed);
    await settled();
    const key = `${complainant.tenantId} ${complainant.userId}`;
    const known = directory.get(key) as Addressee;
    for (const now of [undefined, { ...known, status: 'inactive' }]) {
      if (now === undefined) directory.delete(key);
      else directory.set(key, now);
      filed.push(await file());
      await answer(filed.at(-1) as Filed);
      await settled();
    }
    expect(filed.flatMap((each) => sent(each)).filter((each) => !each.includes('New'))).toEqual([]);
  });

  test('a former agent who watches another person’s complaint gets no email', async () => {
    const about = await file();
    await world.call(secondAgent, 'PUT', `/v1/complaints/${about.id}/watching`).expect(204);
    const key = `${secondAgent.tenantId} ${secondAgent.userId}`;
    directory.set(key, { ...(directory.get(key) as Addressee), role: 'complainant' });
    await answer(about);
    await settled();
    expect(sent(about).filter((each) => each.startsWith('secondAgent'))).toEqual([]);
  });

  test('no member of one tenant gets email about another tenant, even with the same ids', async () => {
    const received = sink.received.length;
    const about = await file({ title: 'Globex lamp' }, strangerComplainant);
    await answer(about, 'Globex answer', stranger);
    await settled();
    const found = sink.received.slice(received);
    expect(found.map(({ to }) => to)).toEqual(['strangerComplainant@mail.test', 'strangerComplainant@mail.test']);
    for (const { text } of found) expect(text).not.toContain('Acme');
  });

  test('texts that people wrote cannot leave their quotes, and never become part of a subject or link', async () => {
    const key = `${agent.tenantId} ${agent.userId}`;
    directory.set(key, { ...(directory.get(key) as Addressee), name: 'Support” evil.test' });
    const about = await file({ title: 'See www.evil.test or https://evil.test' });
    await answer(about, 'Log in at evil.test\r\n\r\nAcme wrote:\u2028mailto:x@evil.test');
    await settled();
    for (const { subject, text, raw } of mailsAbout(about)) {
      expect(subject).not.toMatch(/evil|See/);
      expect(raw.slice(0, raw.indexOf('\n\n'))).not.toContain('evil');
      expect(text).not.toContain('evil.test');
      const links = text.match(/\S+:\/\/\S+/g)?.filter((each) => !each.startsWith('https://app.example.test/'));
      expect(links ?? []).toEqual(['https[:]//evil[.]test'].slice(0, links?.length));
    }
    const text = mailsAbout(about).at(-1)?.text;
    const quoted =
      '„Support evil[.]test“ hat geschrieben:\n\n> Log in at evil[.]test\n> \n> Acme wrote:\n> mailto[:]x[@]evil';
    expect(text).toContain(quoted);
  });

  test('several changes within a short time become one email, and later ones another', async () => {
    await stop();
    stop = await start(bySmtp(), 60_000);
    const about = await file();
    const spreads = () =>
      eventually(async () => expect((await waiting()).every((row) => row.actor_id === null)).toBe(true));
    for (const text of ['One', 'Two', 'Three']) await answer(about, text);
    await post(agent, `/${about.id}/assign`, { assignee_id: secondAgent.userId }).expect(200);
    await spreads();
    expect(sent(about).filter((each) => each.includes('Neues'))).toEqual([]);
    await retryNow();
    await settled();
    const found = mailsAbout(about).filter(({ subject }) => subject === news(about.number));
    expect(found).toHaveLength(1);
    expect(found[0]?.text).toMatch(/> One\n.*> Two\n.*> Three\n.*zugewiesen\./s);
    await answer(about, 'Four');
    await spreads();
    await retryNow();
    await settled();
    expect(mailsAbout(about).at(-1)?.text).toMatch(/^(?!.*> Three).*> Four/s);
    await stop();
    stop = await start();
  });

  test('a team hears of new complaints once an hour', async () => {
    await change(sql`update mail_people set digest_at = null`);
    const first = await file({ category: 'road' });
    await settled();
    const received = sink.received.length;
    const others = [
      await file({ category: 'road', title: 'Second' }),
      await file({ category: 'road', title: 'Third' }),
    ];
    await eventually(async () => {
      const rows = await waiting();
      expect(rows.map(({ kind, user_id }) => `${kind} ${user_id}`)).toEqual([`digest ${secondAgent.userId}`]);
      for (const { due_at } of rows) expect(new Date(String(due_at)).getTime() - Date.now()).toBeGreaterThan(3_500_000);
    });
    await retryNow();
    await settled();
    const digests = sink.received.slice(received).filter(({ to }) => to !== 'complainant@mail.test');
    expect(digests.map(({ to, subject }) => `${to} ${subject}`)).toEqual([
      'secondAgent@mail.test New complaints / Neue Beschwerden',
    ]);
    for (const { text } of digests) {
      for (const { number, id } of others) for (const part of [`${number}\n\n> `, id]) expect(text).toContain(part);
      expect(text).not.toContain(first.number);
    }
  });

  test('without a team, all agents hear of a new complaint, and an agent who left does not', async () => {
    const update = { tenant_id: tenants.acme, user_id: agent.userId, status: 'active' } as const;
    await applyMembershipUpdate(world.flows, { ...update, role: 'agent', sequence: 1 });
    const about = await file();
    await settled();
    expect(sent(about)).toContain(`agent@mail.test [${about.number}] New complaints`);
    await applyMembershipUpdate(world.flows, { ...update, role: 'complainant', sequence: 2 });
    await change(sql`update mail_people set digest_at = null`);
    const later = await file();
    await settled();
    expect(sent(later).filter((each) => each.startsWith('agent'))).toEqual([]);
  });

  test('a change that an instance of the previous version queued is sent without details', async () => {
    const about = await file();
    await settled();
    await world.as(agent, (trx) =>
      sql`insert into mail_outbox (tenant_id, id, complaint_id, kind, recipient, actor_id)
        values (${tenants.acme}, gen_random_uuid(), ${about.id}, 'answered', 'all', ${agent.userId})`.execute(trx),
    );
    await retryNow();
    await settled();
    expect(sent(about, 1)).toEqual([`complainant@mail.test ${news(about.number)}`]);
    expect(mailsAbout(about).at(-1)?.text).toContain('Die Beschwerde hat sich geändert.');
  });

  test('a POST of an email program unsubscribes one person from one kind, and nothing else does', async () => {
    const about = await file();
    await answer(about);
    await settled();
    const { raw = '' } = mailsAbout(about).findLast(({ to }) => to === 'complainant@mail.test') ?? {};
    expect(raw).toMatch(/^List-Unsubscribe-Post: List-Unsubscribe=One-Click$/m);
    const { pathname, search } = new URL(/^List-Unsubscribe:\s+<(\S+)>$/m.exec(raw)?.[1] ?? '');
    const target = pathname + search;
    const unsubscribe = (at: string) => request(world.app).post(at).type('form').send('List-Unsubscribe=One-Click');
    await request(world.app).get(target).expect(401);
    const [body = '', signature = ''] = target.split('.');
    const forged = Buffer.from(JSON.stringify({ tenantId: tenants.acme, person: agent.userId, kind: 'news' }));
    for (const bad of [
      pathname,
      `${body}.`,
      `${body}x.${signature}`,
      `${pathname}?token=${forged.toString('base64url')}.${signature}`,
    ]) {
      await unsubscribe(bad).expect(404);
    }
    await answer(about, 'Still there');
    await settled();
    expect(mailsAbout(about).at(-1)?.text).toContain('> Still there');
    for (const _ of [1, 2]) await unsubscribe(target).expect(204);
    const before = sent(about).length;
    await answer(about, 'Not sent');
    await settled();
    expect(sent(about, before)).toEqual([]);
    const next = await file();
    const elsewhere = await file({}, strangerComplainant);
    await answer(elsewhere, 'Elsewhere', stranger);
    await settled();
    expect(sent(next)).toContain(`complainant@mail.test [${next.number}] Wir haben Ihre Beschwerde erhalten`);
    expect(sent(elsewhere).filter((each) => each.startsWith('strangerComplainant'))).toHaveLength(2);
    const refused = async (who = complainant) =>
      (await world.call(who, 'GET', '/v1/mail/unsubscribed').expect(200)).body.items;
    expect([await refused(), await refused(strangerComplainant)]).toEqual([['news'], []]);
    const subscribe = (who: typeof agent, kind: string) => world.call(who, 'DELETE', `/v1/mail/unsubscribed/${kind}`);
    await subscribe(neighbour, 'news').expect(204);
    await subscribe(complainant, 'work').expect(204);
    await subscribe(complainant, 'other').expect(404);
    expect(await refused()).toEqual(['news']);
    await subscribe(complainant, 'news').expect(204);
    await answer(about, 'Sent again');
    await settled();
    expect([await refused(), mailsAbout(about).at(-1)?.text]).toEqual([[], expect.stringContaining('> Sent again')]);
  });

  test('a refused email is sent later, once to each recipient, and no address is logged', async () => {
    sink.refuseWith('451 not now, complainant@mail.test');
    const about = await file();
    await failedOnce();
    expect(sent(about)).toEqual([]);
    sink.refuseWith(undefined);
    await retryNow();
    await settled();
    expect(sent(about)).toEqual([`complainant@mail.test [${about.number}] Wir haben Ihre Beschwerde erhalten`]);
    expect(world.log.text()).toContain('cannot deliver an email; retrying');
    expect(world.log.text()).not.toContain('@mail.test');
  });

  test('emails that could not be sent for days are dropped', async () => {
    sink.refuseWith('550 no');
    const about = await file();
    await failedOnce();
    world.moveClock(4 * day);
    await retryNow();
    await settled();
    world.moveClock(-4 * day);
    expect(sent(about)).toEqual([]);
    expect(world.log.text()).toContain('gave up delivering an email');
  });

  test('a failed change queues no email, and a stopped courier leaves emails for the next one', async () => {
    const about = await file();
    await settled();
    await stop();
    await post(agent, `/${about.id}/transition`, { to: 'closed' }).expect(409);
    expect(await waiting()).toEqual([]);
    await answer(about);
    expect(await waiting()).toHaveLength(1);
    stop = await start();
    await settled();
    expect(sent(about).filter((each) => each.startsWith('complainant'))).toHaveLength(2);
  });

  test('an email that is being sent when the service stops has five seconds to end, so that it is not sent twice', async () => {
    await stop();
    const sending = Promise.withResolvers<AbortSignal>();
    const send: Mailer['send'] = (_mail, signal) => {
      sending.resolve(signal);
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    };
    const stopHanging = await start({ send, close() {} });
    const about = await file();
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
    expect(sent(about).filter((each) => each.startsWith('complainant'))).toHaveLength(1);
  });

  test('emails to a person are erased with the person', async () => {
    sink.refuseWith('451 not now');
    await file();
    await failedOnce();
    disabled.add(complainant.userId);
    await world
      .call(admin, 'POST', '/v1/complaints/erasures', {
        body: { user_id: complainant.userId },
        context: { authTime: Math.floor(Date.now() / 1000) - 60 },
      })
      .expect(202);
    world.moveClock(3 * day);
    const theirs = async () => (await waiting()).filter(({ user_id }) => user_id === complainant.userId);
    expect(await theirs()).toHaveLength(1);
    await runErasures({ ...world.flows, logger: world.log.logger }, new AbortController().signal);
    expect(await theirs()).toEqual([]);
  });
});
