import { smtpMailer } from '@countersign/mail';
import { databases, eventually, smtpSink, startProcess } from '@countersign/testing';
import { expect, test } from '@jest/globals';
import { startMailCourier } from '../src/flows/mail.ts';
import { complaintsWorld, people } from './world.ts';

const { complainant, agent } = people;
const source = (path: string) => JSON.stringify(new URL(`../src/${path}`, import.meta.url).href);

/** Claims emails, then waits for a mail server that never responds. */
const sendsForEver = `
  import { openDatabase } from '@countersign/database';
  import { startMailCourier } from ${source('flows/mail.ts')};
  import { complaintsDatabase } from ${source('store/database.ts')};
  const db = await openDatabase({ ...complaintsDatabase, location: JSON.parse(process.env.LOCATION), name: process.env.NAME });
  const mailer = { send: () => new Promise(() => { console.log('sending'); setInterval(() => {}, 60_000); }), close() {} };
  const addresses = async (_tenant, id) => ({ id, role: 'complainant', status: 'active', email: 'a@mail.test' });
  await startMailCourier({ db, logger: console, mailer, addresses, linkBase: undefined, now: () => new Date() });`;

test.each(databases())(
  'no other process sends an email while its sender runs, and another takes over within seconds of a kill, on %s',
  async (_, database) => {
    const world = await complaintsWorld(database);
    const sink = await smtpSink();
    const mailer = smtpMailer({ url: sink.url, from: 'a@countersign.test', requireTls: false });
    const text = { title: 'Lamp', description: 'Dark', category: 'light' };
    const { body } = await world.call(complainant, 'POST', '/v1/complaints', { body: text }).expect(201);
    await world.call(agent, 'POST', `/v1/complaints/${body.id}/comments`, { body: { body: 'Answer' } }).expect(201);
    const victim = startProcess({
      args: ['--input-type=module', '--eval', sendsForEver],
      env: { LOCATION: JSON.stringify(world.database.location), NAME: world.database.name },
    });
    await victim.waitFor(/sending/);
    const leasedUntil = async () => {
      const [row] = (await world.rows())[0]?.mail_outbox ?? [];
      return new Date(String(row?.leased_until)).getTime();
    };
    const first = await leasedUntil();
    const stop = await startMailCourier({
      db: world.db,
      logger: world.log.logger,
      mailer,
      addresses: async (_tenant, id) => ({ id, role: 'complainant', status: 'active', email: 'a@mail.test' }),
      linkBase: undefined,
      now: () => new Date(),
    });
    try {
      // Later than the end of its first lease.
      await eventually(async () => {
        expect(Date.now()).toBeGreaterThan(first + 1_000);
        expect(await leasedUntil()).toBeGreaterThan(Date.now());
      }, 30_000);
      expect(sink.received).toEqual([]);
      await victim.stop('SIGKILL');
      await eventually(() => expect(sink.received).toHaveLength(1), 15_000);
    } finally {
      await victim.stop('SIGKILL');
      await stop();
      mailer.close();
      await sink.close();
      await world.close();
    }
  },
);
