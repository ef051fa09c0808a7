import { databases } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { complaintsWorld, people } from './world.ts';

const { complainant, agent } = people;
type Page = { items: { id: string; body?: string; action?: string }[]; next_cursor: string | null };

describe.each(databases())('lists that are read oldest first, on %s', (_kind, database) => {
  let world: Awaited<ReturnType<typeof complaintsWorld>>;
  beforeAll(async () => {
    world = await complaintsWorld(database);
  });
  afterAll(() => world.close());
  const file = async () => {
    const body = { title: 'Lamp', description: 'Dark', category: 'light' };
    return (await world.call(complainant, 'POST', '/v1/complaints', { body }).expect(201)).body.id as string;
  };
  const page = async (of: string, query: string) =>
    (await world.call(agent, 'GET', `/v1/complaints/${of}?${query}`).expect(200)).body as Page;

  test.each([
    ['comments', 'POST', '/comments', (n: number) => ({ body: `Comment ${n}` })],
    ['history', 'PATCH', '', (n: number) => ({ title: `Title ${n}` })],
  ])('a list of %s skips no row from an instance whose clock is behind', async (list, method, to, bodyOf) => {
    const id = await file();
    const add = async (n: number) => {
      const { status } = await world.call(agent, method, `/v1/complaints/${id}${to}`, { body: bodyOf(n) });
      expect(status).toBeLessThan(300);
    };
    for (const n of [1, 2, 3]) await add(n);
    const first = await page(`${id}/${list}`, 'limit=2');
    world.moveClock(-5_000);
    await add(4);
    world.moveClock(5_000);
    const rest = await page(`${id}/${list}`, `cursor=${first.next_cursor}`);
    const all = await page(`${id}/${list}`, 'limit=100');
    expect([...first.items, ...rest.items]).toEqual(all.items);
    expect(all.items).toHaveLength(list === 'comments' ? 4 : 5);
    expect(all.items.at(-1)).toMatchObject(list === 'comments' ? bodyOf(4) : { changes: { title: { to: 'Title 4' } } });
  });

  test('a list never starts after a row of another complaint', async () => {
    const [one, other] = [await file(), await file()];
    for (const id of [one, one, other]) {
      await world.call(agent, 'POST', `/v1/complaints/${id}/comments`, { body: { body: 'x' } }).expect(201);
    }
    const { next_cursor: cursor } = await page(`${one}/comments`, 'limit=1');
    expect((await page(`${other}/comments`, `cursor=${cursor}`)).items).toEqual([]);
  });
});
