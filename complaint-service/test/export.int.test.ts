import { asUser, databases } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import request from 'supertest';
import { complaintsWorld, people } from './world.ts';

const { complainant, agent, stranger } = people;

describe.each(databases())('the CSV export on %s', (_kind, database) => {
  let world: Awaited<ReturnType<typeof complaintsWorld>>;
  beforeAll(async () => {
    world = await complaintsWorld(database);
  });
  afterAll(() => world.close());

  const file = (title: string, description = 'Dark') =>
    world
      .call(agent, 'POST', '/v1/complaints', {
        body: { title, description, category: 'light', reporter: { name: title } },
      })
      .expect(201);
  const exported = (query = '') => world.call(agent, 'GET', `/v1/complaints/export${query}`).expect(200);
  const rowsOf = (text: string) => text.split('\r\n').slice(1, -1);

  test('the export has a header row, and stores every formula as text', async () => {
    await file('=cmd|calc', '+1\n@SUM(A1)\r"x",=2');
    const { text, headers } = await exported();
    expect(headers['content-type']).toBe('text/csv; charset=utf-8; header=present');
    expect(headers['content-disposition']).toMatch(/^attachment; filename="complaints-\d{4}-\d\d-\d\d\.csv"$/);
    expect(text).toMatch(/^\ufeff?"id","filed_at","updated_at","status","priority","category","title","description"/);
    const [row = ''] = rowsOf(text);
    expect(row).toContain(`"open","normal","light","'=cmd|calc","'+1\n@SUM(A1)\n""x"",=2","","'=cmd|calc"`);
  });

  test('the export contains every complaint once, across batches, and accepts the filters of the list', async () => {
    for (let at = 0; at < 55; at += 1) {
      for (const title of [`Alpha ${at}`, `Beta ${at}`, `Gamma ${at}`]) await file(title);
      world.moveClock(60_000);
    }
    const all = rowsOf((await exported()).text);
    expect(all).toHaveLength(166);
    expect(new Set(all).size).toBe(166);
    expect(rowsOf((await exported('?q=beta')).text)).toHaveLength(55);
    expect(rowsOf((await exported('?status=closed')).text)).toEqual([]);
  });

  test('answers HEAD without reading complaints', async () => {
    const target = '/v1/complaints/export';
    const before = world.transactions();
    const answer = await request(world.app)
      .head(target)
      .set(world.sign({ method: 'HEAD', target, claims: asUser(agent) }));
    expect([answer.status, answer.headers['content-type']]).toEqual([200, 'text/csv; charset=utf-8; header=present']);
    expect(world.transactions()).toBe(before);
  });

  test('the export is only for agents and admins, in their own tenant', async () => {
    await world.call(complainant, 'GET', '/v1/complaints/export').expect(403);
    const { text } = await world.call(stranger, 'GET', '/v1/complaints/export').expect(200);
    expect(rowsOf(text)).toEqual([]);
    await world.call(agent, 'GET', '/v1/complaints/export?status=nonsense').expect(422);
    const misspelt = await world.call(agent, 'GET', '/v1/complaints/export?statuss=open').expect(422);
    expect(misspelt.body.errors).toEqual([{ path: 'statuss', message: 'is not a known field' }]);
  });
});
