import { databases } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { complaintsWorld, people } from './world.ts';

const { complainant, neighbour, agent, secondAgent, admin } = people;
type Page = { items: { id: string; title: string; [member: string]: unknown }[]; next_cursor: string | null };
const minuteMs = 60_000;
/** A well-formed cursor that the service did not create. */
const forged = (text: string) => Buffer.from(`${text}.0197c2a0-0000-7000-8000-000000000000`).toString('base64url');

describe.each(databases())('finding complaints on %s', (_kind, database) => {
  let world: Awaited<ReturnType<typeof complaintsWorld>>;
  let times: string[];
  let team: string;
  const post = (who: typeof agent, path: string, body: unknown) => world.call(who, 'POST', path, { body });
  const list = async (query: string, who = agent) =>
    (await world.call(who, 'GET', `/v1/complaints?${query}`).expect(200)).body as Page;
  const titles = async (query: string, who = agent) => (await list(query, who)).items.map(({ title }) => title);

  /** Files A to F, a minute apart. */
  beforeAll(async () => {
    world = await complaintsWorld(database, undefined, { categories: ['Parks'] });
    team = (await post(admin, '/v1/teams', { name: 'Lights' }).expect(201)).body.id;
    const lights = { name: 'Lights', team_id: team, first_answer_minutes: 60 };
    await post(admin, '/v1/categories', lights).expect(201);
    await post(admin, '/v1/categories', { name: 'Roads', resolution_minutes: 30 }).expect(201);
    const filings = [
      ['A', 'Lights', 'low', complainant],
      ['B', 'Roads', 'urgent', complainant],
      ['C', 'Lights', 'normal', neighbour],
      ['D', 'Parks', 'high', complainant],
      ['E', 'Roads', 'urgent', neighbour],
      ['F', 'Parks', 'normal', complainant],
    ] as const;
    times = [];
    const ids: Record<string, string> = {};
    for (const [title, category, priority, whose] of filings) {
      const body = { title, description: 'Please help', category, priority, complainant_id: whose.userId };
      const filed = (await post(agent, '/v1/complaints', body).expect(201)).body;
      times.push(filed.created_at);
      ids[title] = filed.id;
      world.moveClock(minuteMs);
    }
    const assign = (title: string, who: typeof agent) =>
      post(admin, `/v1/complaints/${ids[title]}/assign`, { assignee_id: who.userId }).expect(200);
    await assign('A', agent);
    await assign('B', secondAgent);
    const move = (title: string, to: string, more = {}) =>
      post(agent, `/v1/complaints/${ids[title]}/transition`, { to, ...more }).expect(200);
    world.moveClock(minuteMs);
    await move('A', 'in_progress');
    world.moveClock(minuteMs);
    await move('F', 'rejected', { reason: 'No' });
    world.moveClock(33 * minuteMs);
  });
  afterAll(() => world.close());

  test.each([
    ['', ['F', 'E', 'D', 'C', 'B', 'A']],
    ['sort=oldest', ['A', 'B', 'C', 'D', 'E', 'F']],
    ['sort=priority', ['E', 'B', 'D', 'F', 'C', 'A']],
    ['sort=due', ['B', 'E', 'A', 'C']],
    ['sort=updated&limit=2', ['F', 'A']],
    ['mine=true', ['A']],
    ['mine=false', ['F', 'E', 'D', 'C', 'B', 'A']],
    ['unassigned=true', ['E', 'D', 'C']],
    [`assignee=${secondAgent.userId}`, ['B']],
    ['assignee=unknown', []],
    ['category=roads', ['E', 'B']],
    ['category=unknown', []],
    ['priority=urgent', ['E', 'B']],
    ['status=in_progress', ['A']],
    ['status=in_progress,rejected', ['F', 'A']],
    ['overdue=true', ['E', 'B']],
    ['overdue=true&category=Roads&priority=urgent&sort=oldest', ['B', 'E']],
    ['q=please&unassigned=true&sort=priority', ['E', 'D', 'C']],
  ])('finds the right complaints with the query %j', async (query, expected) => {
    expect(await titles(query)).toEqual(expected);
  });

  test.each([
    ['', 6],
    ['&limit=1&sort=priority', 6],
    ['&q=please&unassigned=true', 3],
    ['&sort=due', 4],
    ['&q=%2B', 0],
  ])('counts the complaints on all pages with %j', async (query, count) => {
    expect(await list(`total=true${query}`)).toMatchObject({ total: count });
    expect(await list(query.slice(1))).not.toHaveProperty('total');
  });

  test('finds complaints by filing time, including the start and excluding the end', async () => {
    const [, b = '', , , e = ''] = times;
    expect(await titles(`from=${b}&before=${e}`)).toEqual(['D', 'C', 'B']);
    const withOffset = encodeURIComponent(b.replace('Z', '+00:00'));
    expect(await titles(`before=${withOffset}`)).toEqual(['A']);
  });

  test.each([
    ['from=0001-01-01T00:00:00Z', 6],
    ['before=0001-01-01T00:00:00Z', 0],
    ['before=9999-12-31T23:59:59Z', 6],
    ['from=9999-12-31T23:59:59.999Z', 0],
    [`sort=priority&cursor=${forged('priority.0.0')}`, 0],
    [`sort=priority&cursor=${forged(`priority.3.${(Date.UTC(10_000, 0, 1) - 1).toString(36)}`)}`, 6],
  ])('accepts the extreme value %s', async (query, count) => {
    expect(await titles(query)).toHaveLength(count);
  });

  test('finds a team’s complaints', async () => {
    expect(await titles(`team=${team}`)).toEqual(['C', 'A']);
  });

  test('shows complainants only their own, whatever the filters', async () => {
    expect(await titles('', complainant)).toEqual(['F', 'D', 'B', 'A']);
    expect(await titles('mine=true', complainant)).toEqual(['F', 'D', 'B', 'A']);
    expect(await titles('priority=urgent', complainant)).toEqual(['B']);
    expect(await titles(`assignee=${agent.userId}`, neighbour)).toEqual([]);
    expect(await titles('sort=priority', neighbour)).toEqual(['E', 'C']);
  });

  test.each(['newest', 'oldest', 'updated', 'due', 'priority'])(
    'pages in the order %s neither miss nor repeat a complaint',
    async (sort) => {
      const all = await titles(`sort=${sort}`);
      const seen: string[] = [];
      let cursor: string | null = '';
      while (cursor !== null) {
        const page: Page = await list(`sort=${sort}&limit=1${cursor && `&cursor=${cursor}`}`);
        seen.push(...page.items.map(({ title }) => title));
        cursor = page.next_cursor;
      }
      expect(seen).toEqual(all);
    },
  );

  test('a cursor is valid only for its order', async () => {
    const { next_cursor: cursor } = await list('limit=1');
    const { body } = await world.call(agent, 'GET', `/v1/complaints?sort=due&cursor=${cursor}`).expect(422);
    expect(body.errors).toEqual([{ path: 'cursor', message: expect.any(String) }]);
  });

  test.each([
    ['status', 'status=open,lost'],
    ['status', 'status='],
    ['mine', 'mine=yes'],
    ['priority', 'priority=3'],
    ['team', 'team=lights'],
    ['from', 'from=yesterday'],
    ['before', 'before=2026-02-30T00:00:00Z'],
    ['from', 'from=0000-01-01'],
    ['from', 'from=0000-01-01T00:00:00Z'],
    ['from', 'from=0001-01-01T00:00:00%2B00:01'],
    ['before', 'before=0000-12-31T23:59:59Z'],
    ['before', 'before=9999-12-31T23:59:59-00:01'],
    ['before', 'before=10000-01-01T00:00:00Z'],
    ['before', 'before=2026-12-31T23:59:60Z'],
    ['statuses', 'statuses=open'],
    ['category', 'category=%00'],
    ['category', 'category=%20'],
    ['assignee', 'assignee=%00'],
    ['cursor', `sort=priority&cursor=${forged('priority.2s.0')}`],
    ['cursor', `sort=priority&cursor=${forged('priority.4.0')}`],
    ['cursor', `sort=priority&cursor=${forged('priority.zzzzzzzzzz.0')}`],
    ['cursor', `sort=priority&cursor=${forged('priority.0.zzzzzzzzzz')}`],
    ['cursor', `sort=due&cursor=${forged('due.zzzzzzzzzz')}`],
    ['sort', 'sort=title'],
    ['assignee', 'assignee=a%20b'],
    ['category', `category=${'x'.repeat(51)}`],
  ])('reports %s as invalid in %s', async (field, query) => {
    const { body } = await world.call(agent, 'GET', `/v1/complaints?${query}`).expect(422);
    expect(body).toMatchObject({ code: 'validation_failed', errors: [{ path: field }] });
  });
});
