import { databases } from '@countersign/testing';
import { afterAll, beforeEach, describe, expect, test } from '@jest/globals';
import { maxWrites } from '../src/flows/complaints/write.ts';
import { complaintsWorld, people } from './world.ts';

const { complainant, neighbour, agent, stranger, strangerComplainant } = people;
const text = { title: 'Lamp broken', description: 'Dark', category: 'light' };

describe.each(databases())('filing and editing many complaints on %s', (_kind, database) => {
  let world: Awaited<ReturnType<typeof complaintsWorld>>;
  const opened: (typeof world)[] = [];
  beforeEach(async () => {
    world = await complaintsWorld(database);
    opened.push(world);
  });
  afterAll(() => Promise.all(opened.map((one) => one.close())));
  const file = (who = complainant, more = {}) =>
    world.call(who, 'POST', '/v1/complaints', { body: { ...text, ...more } });
  const search = async (word: string, who = agent) =>
    (await world.call(who, 'GET', `/v1/complaints?q=${encodeURIComponent(word)}`).expect(200)).body;

  test('a description of 30 KB adds at most 256 search words, starting with those of the title', async () => {
    const description = Array.from({ length: 10_000 }, (_, i) => String.fromCodePoint(0x4e00 + i)).join('');
    const { body } = await file(complainant, { description }).expect(201);
    const { terms } = (await world.rows())[0] ?? { terms: [] };
    expect(terms).toHaveLength(256);
    expect((await search('lamp')).items).toMatchObject([{ id: body.id, description }]);
    const path = `/v1/complaints/${body.id}`;
    await world.call(complainant, 'PATCH', path, { body: { description: `${description.slice(1)}x` } }).expect(200);
    expect((await world.rows())[0]?.terms).toHaveLength(256);
  });

  test('a user can file sixty complaints a minute, even concurrently, and later requests get Retry-After', async () => {
    await file(stranger).expect(201);
    const { body: before } = await world.call(stranger, 'GET', '/v1/complaints').expect(200);
    for (let n = 10; n < maxWrites; n += 1) await file().expect(201);
    const answers = await Promise.all(Array.from({ length: 20 }, () => file()));
    const refused = answers.filter(({ status }) => status === 429);
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(10);
    expect(refused).toHaveLength(10);
    for (const { body, headers } of refused) {
      expect(body).toMatchObject({ status: 429, code: 'too_many_changes' });
      expect(headers['content-type']).toBe('application/problem+json');
      expect(Number(headers['retry-after'])).toBeGreaterThan(0);
      expect(Number(headers['retry-after'])).toBeLessThanOrEqual(60);
    }
    const [{ complaints = [] } = {}] = await world.rows();
    expect(complaints).toHaveLength(maxWrites);
    // The limit does not apply to other users, nor to the same person in another tenant.
    await file(neighbour).expect(201);
    await file(strangerComplainant).expect(201);
    const { body: after } = await world.call(stranger, 'GET', '/v1/complaints').expect(200);
    expect(after.items.slice(1)).toEqual(before.items);
    world.moveClock(60_000);
    await file().expect(201);
  });

  test('edits count toward the limit, and refused edits change nothing', async () => {
    const { body } = await file().expect(201);
    const path = `/v1/complaints/${body.id}`;
    const edit = (title: string) => world.call(complainant, 'PATCH', path, { body: { title } });
    for (let n = 1; n < maxWrites; n += 1) await edit(`Title ${n}`).expect(200);
    const before = await world.rows();
    expect((await edit('One more').expect(429)).body.code).toBe('too_many_changes');
    expect((await file().expect(429)).body.code).toBe('too_many_changes');
    expect(await world.rows()).toEqual(before);
    // The same text again does not count as an edit.
    await edit(`Title ${maxWrites - 1}`).expect(200);
    await world.call(agent, 'PATCH', path, { body: { title: 'By an agent' } }).expect(200);
  });
});
