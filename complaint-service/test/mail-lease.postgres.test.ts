import { smtpMailer } from '@countersign/mail';
import { databases, eventually, smtpSink, startProcess } from '@countersign/testing';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { startMailCourier } from '../src/flows/mail.ts';
import { complaintsWorld, people } from './world.ts';

const { complainant, agent } = people;
const source = (path: string) => JSON.stringify(new URL(`../src/${path}`, import.meta.url).href);
const from = 'a@countersign.test';

/** Sends emails, and stops before or after the mail server has accepted one, if `hangs` says so. */
const sender = `
  import { openDatabase } from '@countersign/database';
  import { smtpMailer } from '@countersign/mail';
  import { startMailCourier } from ${source('flows/mail.ts')};
  import { complaintsDatabase } from ${source('store/database.ts')};
  const { LOCATION, NAME, URL: url, HANGS: hangs } = process.env;
  const db = await openDatabase({ ...complaintsDatabase, location: JSON.parse(LOCATION), name: NAME });
  const smtp = smtpMailer({ url, from: '${from}', requireTls: false });
  const hang = () => new Promise(() => { console.log('hanging'); setInterval(() => {}, 60_000); });
  const send = async (...mail) => {
    if (hangs === 'before') await hang();
    await smtp.send(...mail);
    if (hangs === 'after') await hang();
  };
  const addresses = async (_tenant, ids) =>
    new Map(ids.map((id) => [id, { id, role: 'complainant', status: 'active', email: 'a@mail.test' }]));
  const mailer = { send, close() {} };
  await startMailCourier({ db, logger: console, mailer, addresses, linkBase: undefined, tokens: undefined, burstMs: 0,
    now: () => new Date() });
  console.log('started');`;

describe.each(databases())('emails of a killed process on %s', (_kind, database) => {
  let world: Awaited<ReturnType<typeof complaintsWorld>>;
  let sink: Awaited<ReturnType<typeof smtpSink>>;
  beforeEach(async () => {
    world = await complaintsWorld(database);
    sink = await smtpSink();
  });
  afterEach(async () => {
    await sink.close();
    await world.close();
  });

  const file = async (): Promise<{ id: string; number: string }> => {
    const body = { title: 'Lamp', description: 'Dark', category: 'light' };
    return (await world.call(complainant, 'POST', '/v1/complaints', { body }).expect(201)).body;
  };
  const startSender = (hangs: string) =>
    startProcess({
      args: ['--input-type=module', '--eval', sender],
      env: {
        LOCATION: JSON.stringify(world.database.location),
        NAME: world.database.name,
        URL: sink.url,
        HANGS: hangs,
      },
    });
  const startOwn = async () => {
    const mailer = smtpMailer({ url: sink.url, from, requireTls: false });
    const stop = await startMailCourier({
      db: world.db,
      logger: world.log.logger,
      mailer,
      addresses: async (_tenant, ids) =>
        new Map(ids.map((id) => [id, { id, role: 'complainant', status: 'active', email: 'a@mail.test' }])),
      linkBase: undefined,
      tokens: world.flows.unsubscribeTokens,
      burstMs: 0,
      now: () => new Date(),
    });
    return async () => {
      await stop();
      mailer.close();
    };
  };
  const waiting = async () => (await world.rows())[0]?.mails ?? [];
  const idOf = ({ raw }: { raw: string }) => /^message-id: (.*)$/im.exec(raw)?.[1];

  test.each([
    ['before the mail server accepts an email, it is sent once', 'before', 1],
    ['after the mail server accepted an email, it is sent twice, with the same Message-ID', 'after', 2],
  ])('killed %s', async (_what, hangs, count) => {
    await file();
    const victim = startSender(hangs);
    await victim.waitFor(/hanging/);
    const leasedUntil = async () => new Date(String((await waiting())[0]?.leased_until)).getTime();
    const first = await leasedUntil();
    const stop = await startOwn();
    try {
      // Later than the end of its first lease: as long as it runs, no other process sends its email.
      await eventually(async () => {
        expect(Date.now()).toBeGreaterThan(first + 1_000);
        expect(await leasedUntil()).toBeGreaterThan(Date.now());
      }, 30_000);
      expect(sink.received).toHaveLength(count - 1);
      await victim.stop('SIGKILL');
      await eventually(async () => expect(await waiting()).toEqual([]), 15_000);
      expect(sink.received).toHaveLength(count);
      expect(new Set(sink.received.map(idOf)).size).toBe(1);
      expect(idOf(sink.received[0] ?? { raw: '' })).toMatch(/^<[0-9a-f-]{36}@countersign\.test>$/);
    } finally {
      await victim.stop('SIGKILL');
      await stop();
    }
  });

  test('killed again and again while it sends, no email is lost, and one that is sent twice has one Message-ID', async () => {
    const filed: { id: string; number: string }[] = [];
    for (let round = 0; round < 4; round += 1) {
      const victim = startSender('never');
      await victim.waitFor(/started/);
      const before = sink.received.length;
      for (let at = 0; at < 5; at += 1) {
        const complaint = await file();
        const body = { body: 'An answer' };
        await world.call(agent, 'POST', `/v1/complaints/${complaint.id}/comments`, { body }).expect(201);
        filed.push(complaint);
      }
      await eventually(() => expect(sink.received.length).toBeGreaterThan(before + round));
      await victim.stop('SIGKILL');
    }
    const stop = await startOwn();
    try {
      await eventually(async () => expect(await waiting()).toEqual([]), 30_000);
    } finally {
      await stop();
    }
    for (const { number } of filed) {
      const about = sink.received.filter(({ subject }) => subject.includes(number));
      const subjects = new Set(about.map(({ subject }) => subject));
      expect([number, subjects.size, new Set(about.map(idOf)).size]).toEqual([number, 2, 2]);
    }
  });
});
