import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { smtpMailer } from '@countersign/mail';
import { createMetrics } from '@countersign/process-kit';
import { databases, eventually, type SmtpSink, smtpSink } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { deliveryMetrics } from '../src/background.ts';
import { startMailCourier } from '../src/flows/mail.ts';
import { startWebhookCourier } from '../src/flows/webhooks/webhooks.ts';
import { mailChannel } from '../src/store/mail.ts';
import { courierRole, mailerRole } from '../src/store/roles.ts';
import { webhooksChannel } from '../src/store/webhooks/webhooks.ts';
import { complaintsWorld, people } from './world.ts';

const { complainant, agent, admin } = people;

describe.each(databases())('metrics of emails and webhooks on %s', (_kind, database) => {
  let world: Awaited<ReturnType<typeof complaintsWorld>>;
  let sink: SmtpSink;
  const metrics = createMetrics();
  const receiver = createServer((_req, res) => res.writeHead(status).end());
  let status = 204;
  const stops: (() => Promise<void>)[] = [];
  let webhook: string;

  beforeAll(async () => {
    world = await complaintsWorld(database);
    sink = await smtpSink();
    await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
    const count = deliveryMetrics(metrics, world.db, world.log.logger);
    const parts = { db: world.db, logger: world.log.logger, now: world.flows.now };
    const mail = {
      mailer: smtpMailer({ url: sink.url, from: 'a@countersign.test', requireTls: false }),
      addresses: async (_tenant: string, ids: readonly string[]) =>
        new Map(ids.map((id) => [id, { id, role: 'complainant', status: 'active', email: 'c@mail.test' }])),
      linkBase: undefined,
      tokens: world.flows.unsubscribeTokens,
      burstMs: 0,
    };
    stops.push(await startMailCourier({ ...parts, ...mail, onResult: count.mail }));
    stops.push(await startWebhookCourier({ ...parts, ...world.flows.webhooks, onResult: count.webhook }));
    const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
    const body = { url, events: ['comment.added'] };
    webhook = (await world.call(admin, 'POST', '/v1/webhooks', { body }).expect(201)).body.id;
  });
  afterAll(async () => {
    for (const stop of stops) await stop();
    await sink.close();
    await new Promise((resolve) => receiver.close(resolve));
    await world.close();
  });

  /** The outbox metrics as `name{topic} value`, without zeros. */
  async function series(): Promise<string[]> {
    const lines = (await metrics.metrics()).split('\n').filter((line) => line.startsWith('complaints_outbox_'));
    return lines.filter((line) => !line.endsWith(' 0')).map((line) => line.replaceAll('"', ''));
  }
  const within = (line: string) =>
    eventually(async () => {
      const found = await series();
      if (!found.includes(line)) throw new Error(`${line} is not in ${found.join(', ')}`);
    });
  const deliveries = (topic: string, result: string) =>
    `complaints_outbox_deliveries_total{topic=${topic},result=${result}}`;
  async function answer(): Promise<void> {
    const text = { title: 'Lamp', description: 'Dark', category: 'light' };
    const { body } = await world.call(complainant, 'POST', '/v1/complaints', { body: text }).expect(201);
    await world.call(agent, 'POST', `/v1/complaints/${body.id}/comments`, { body: { body: 'Soon' } }).expect(201);
  }
  const change = (role: string, channel: string, statement: ReturnType<typeof sql>) =>
    world.db.transaction({ role }, async (trx) => {
      await statement.execute(trx);
      await sql`select pg_notify(${channel}, '')`.execute(trx);
    });

  test('the metrics count sent emails and deliveries, and report empty queues', async () => {
    await answer();
    // The receipt and the answer.
    await within(`${deliveries('mail', 'delivered')} 2`);
    await within(`${deliveries('webhook', 'delivered')} 1`);
    expect((await series()).filter((line) => line.includes('waiting') || line.includes('oldest'))).toEqual([]);
  });

  test('the metrics report failed deliveries as waiting, with the age of the oldest, until they are dropped', async () => {
    sink.refuseWith('451 later');
    status = 500;
    await answer();
    await within(`${deliveries('mail', 'retried')} 2`);
    await within(`${deliveries('webhook', 'retried')} 1`);
    expect(await series()).toEqual(
      expect.arrayContaining(['complaints_outbox_waiting{topic=mail} 2', 'complaints_outbox_waiting{topic=webhook} 1']),
    );
    const ages = (await series()).filter((line) => line.includes('oldest_seconds'));
    expect(ages.map((line) => Number(line.split(' ')[1]) > 0)).toEqual([true, true]);
    // A paused webhook waits for an admin to resume it.
    await world.call(admin, 'PATCH', `/v1/webhooks/${webhook}`, { body: { state: 'paused' } }).expect(200);
    expect((await series()).filter((line) => /(waiting|oldest).*webhook/.test(line))).toEqual([]);
    await world.call(admin, 'PATCH', `/v1/webhooks/${webhook}`, { body: { state: 'active' } }).expect(200);

    status = 410;
    await change(courierRole, webhooksChannel, sql`update webhook_deliveries set due_at = clock_timestamp()`);
    await within(`${deliveries('webhook', 'given_up')} 1`);
    world.moveClock(4 * 24 * 3600_000);
    await change(mailerRole, mailChannel, sql`update mails set due_at = clock_timestamp()`);
    await within(`${deliveries('mail', 'given_up')} 2`);
    expect((await series()).filter((line) => line.includes('waiting'))).toEqual([]);
  });

  test('a scrape has all other metrics while the database does not answer', async () => {
    const names = async () => (await metrics.metrics()).match(/^(?!#)(complaints_outbox_\w+|process_start\w+)/gm);
    const without = ['complaints_outbox_deliveries_total', 'process_start_time_seconds'];
    expect(new Set(await names())).not.toEqual(new Set(without));
    const [locked, scraped] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const locking = world.db.transaction({ role: mailerRole }, async (trx) => {
      await sql`lock table mails in access exclusive mode`.execute(trx);
      locked.resolve();
      await scraped.promise;
    });
    await locked.promise;
    const whileHanging = await names().finally(scraped.resolve);
    expect(new Set(whileHanging)).toEqual(new Set(without));
    const logged = world.log.lines().filter(({ msg }) => msg === 'cannot read the outbox for its metrics');
    expect(logged).toMatchObject([{ level: 40 }]);
    await locking;
  });
});
