import { databases } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { rebuildStatistics } from './scale/rebuild-statistics.ts';
import { complaintsWorld, people } from './world.ts';

const { complainant, neighbour, agent, secondAgent, admin, stranger } = people;
const hourMs = 3_600_000;

describe.each(databases())('the life cycle of a complaint on %s', (_kind, database) => {
  let world: Awaited<ReturnType<typeof complaintsWorld>>;
  beforeAll(async () => {
    world = await complaintsWorld(database);
  });
  afterAll(() => world.close());
  const post = (who: typeof agent, path: string, body: unknown) =>
    world.call(who, 'POST', `/v1/complaints${path}`, { body });
  const file = async (who = complainant, category = 'light') => {
    const { body } = await post(who, '', { title: 'Lamp', description: 'Dark', category }).expect(201);
    return body.id as string;
  };
  const move = (id: string, to: string, who = agent, more = {}) =>
    post(who, `/${id}/transition`, { to, ...(to === 'resolved' && { reason: 'Repaired' }), ...more });
  const assign = (id: string, assigneeId = agent.userId) => post(admin, `/${id}/assign`, { assignee_id: assigneeId });
  const read = async (id: string, who = agent) =>
    (await world.call(who, 'GET', `/v1/complaints/${id}`).expect(200)).body;
  const history = async (id: string, who = agent) =>
    (await world.call(who, 'GET', `/v1/complaints/${id}/history`).expect(200)).body.items as Record<string, unknown>[];
  const statistics = async (who = agent) =>
    (await world.call(who, 'GET', '/v1/complaints/statistics').expect(200)).body;

  test('a complaint moves from open to closed, and can be reopened', async () => {
    const id = await file();
    await assign(id).expect(200);
    for (const to of ['in_progress', 'resolved']) await move(id, to).expect(200);
    const reopened = await move(id, 'reopened', complainant, { reason: 'Dark again' }).expect(200);
    expect(reopened.body).toMatchObject({ status: 'reopened', assignee_id: agent.userId });
    expect(reopened.body.service_level.resolved_at).toBeNull();
    for (const to of ['in_progress', 'resolved']) await move(id, to).expect(200);
    await move(id, 'closed', complainant).expect(200);
    expect((await history(id, complainant)).map(({ action, to }) => [action, to])).toEqual([
      ['filed', undefined],
      ['assigned', agent.userId],
      ['moved', 'in_progress'],
      ['moved', 'resolved'],
      ['moved', 'reopened'],
      ['moved', 'in_progress'],
      ['moved', 'resolved'],
      ['moved', 'closed'],
    ]);
  });

  test.each(['resolved', 'rejected', 'withdrawn', 'duplicate', 'reopened'])(
    'requires a reason for the status %s',
    async (to) => {
      const id = await file();
      expect((await move(id, to, agent, { reason: undefined }).expect(422)).body.errors).toContainEqual({
        path: 'reason',
        message: expect.any(String),
      });
      expect(await history(id)).toHaveLength(1);
    },
  );

  test('the complainant can withdraw a complaint, and only staff can reopen it', async () => {
    const id = await file();
    await move(id, 'withdrawn', neighbour, { reason: 'x' }).expect(404);
    await move(id, 'withdrawn', complainant, { reason: 'It works again' }).expect(200);
    await move(id, 'reopened', complainant, { reason: 'x' }).expect(403);
    await assign(id).expect(409);
    await move(id, 'reopened', agent, { reason: 'By mistake' }).expect(200);
  });

  describe('a duplicate', () => {
    const merge = (id: string, original: string, who = agent) =>
      move(id, 'duplicate', who, { reason: 'The same lamp', duplicate_of: original });

    test('a duplicate shows its original to staff, and hides it from the complainant', async () => {
      const [original, id] = [await file(neighbour), await file()];
      const { body } = await merge(id, original).expect(200);
      expect(body).toMatchObject({ status: 'duplicate', duplicate_of: original });
      expect((await read(id, complainant)).duplicate_of).toBeNull();
      expect((await history(id)).at(-1)).toMatchObject({ to: 'duplicate', duplicate_of: original });
      expect((await history(id, complainant)).at(-1)).not.toHaveProperty('duplicate_of');
      const { body: back } = await move(id, 'reopened', agent, { reason: 'Another lamp' }).expect(200);
      expect(back.duplicate_of).toBeNull();
    });

    test('duplicates cannot form a cycle or a chain, or cross tenants', async () => {
      const [a, b, c, foreign] = [await file(), await file(), await file(), await file(stranger)];
      await merge(b, a).expect(200);
      for (const [id, original] of [
        [a, b],
        [a, c],
        [c, b],
        [c, c],
        [c, foreign],
        [c, '0197c2a0-0000-7000-8000-000000000000'],
      ] as const) {
        expect((await merge(id, original).expect(422)).body).toMatchObject({
          code: 'invalid_duplicate',
          errors: [{ path: 'duplicate_of' }],
        });
      }
      await merge(c, a, complainant).expect(403);
      await move(c, 'rejected', agent, { reason: 'x', duplicate_of: a }).expect(422);
    });

    test('one of two complaints that name each other concurrently is refused', async () => {
      const [a, b] = [await file(), await file()];
      const answers = await Promise.all([merge(a, b), merge(b, a)]);
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 422]);
    });
  });

  test('an unassigned complaint returns to the queue', async () => {
    const id = await file();
    await assign(id).expect(200);
    await move(id, 'in_progress').expect(200);
    await post(complainant, `/${id}/unassign`, {}).expect(403);
    const { body } = await post(agent, `/${id}/unassign`, { reason: 'On leave' }).expect(200);
    expect(body).toMatchObject({ status: 'open', assignee_id: null });
    expect((await history(id)).at(-1)).toMatchObject({
      action: 'unassigned',
      from: agent.userId,
      to: null,
      reason: 'On leave',
      status: { from: 'in_progress', to: 'open' },
    });
    // Only staff see the reason.
    expect((await history(id, admin)).at(-1)).toHaveProperty('reason', 'On leave');
    const [shown] = (await history(id, complainant)).slice(-1);
    expect(shown).toMatchObject({ action: 'unassigned', to: null });
    expect(shown).not.toHaveProperty('reason');
    await post(agent, `/${id}/unassign`, {}).expect(200);
    expect(await history(id)).toHaveLength(4);
    await move(id, 'rejected', agent, { reason: 'Not ours' }).expect(200);
    expect((await history(id, complainant)).at(-1)).toMatchObject({ action: 'moved', reason: 'Not ours' });
  });

  test('a complaint can be assigned to a team without an agent, and keeps its status', async () => {
    const { body: team } = await world.call(admin, 'POST', '/v1/teams', { body: { name: 'Lights' } }).expect(201);
    const id = await file();
    const { body } = await post(agent, `/${id}/assign`, { team_id: team.id }).expect(200);
    expect(body).toMatchObject({ team_id: team.id, assignee_id: null, status: 'open' });
    expect((await history(id)).at(-1)).toMatchObject({ action: 'assigned', team: { from: null, to: team.id } });
    await post(agent, `/${id}/assign`, { team_id: '0197c2a0-0000-7000-8000-000000000000' }).expect(422);
    await post(agent, `/${id}/assign`, {}).expect(422);
  });

  test('its complainant, its assignees and interested staff watch a complaint', async () => {
    const id = await file();
    await assign(id).expect(200);
    const watch = (who: typeof agent, method: string) => world.call(who, method, `/v1/complaints/${id}/watching`);
    const watchers = async (who: typeof agent) => {
      const { body } = await world.call(who, 'GET', `/v1/complaints/${id}/watchers`).expect(200);
      return (body.items as { user_id: string }[]).map(({ user_id }) => user_id);
    };
    for (let n = 0; n < 2; n += 1) await watch(secondAgent, 'PUT').expect(204);
    expect((await watchers(agent)).sort()).toEqual([complainant.userId, agent.userId, secondAgent.userId].sort());
    expect(await watchers(complainant)).toEqual([complainant.userId]);
    await watch(neighbour, 'PUT').expect(404);
    await watch(stranger, 'PUT').expect(404);
    await watch(complainant, 'DELETE').expect(204);
    await watch(complainant, 'DELETE').expect(204);
    expect(await watchers(complainant)).toEqual([]);
  });

  describe('the service level', () => {
    beforeAll(async () => {
      const body = { name: 'Water', first_answer_minutes: 60, resolution_minutes: 120 };
      await world.call(admin, 'POST', '/v1/categories', { body }).expect(201);
    });
    const comment = (id: string, who: typeof agent, internal = false) =>
      post(who, `/${id}/comments`, { body: 'We are looking into it', internal }).expect(201);

    test('a complaint is overdue after a target, until an answer and a resolution arrive', async () => {
      const id = await file(complainant, 'Water');
      const before = await world.call(agent, 'GET', `/v1/complaints/${id}`);
      world.moveClock(hourMs + 1_000);
      const overdue = await world.call(agent, 'GET', `/v1/complaints/${id}`, {
        headers: { 'if-none-match': before.headers.etag ?? '' },
      });
      expect(overdue.body).toMatchObject({
        overdue: true,
        service_level: { first_answer_overdue: true, resolution_overdue: false },
      });
      await comment(id, complainant);
      await comment(id, agent, true);
      expect(await read(id)).toMatchObject({ overdue: true, service_level: { first_answered_at: null } });
      await comment(id, agent);
      const answered = await read(id);
      expect(answered).toMatchObject({ overdue: false, service_level: { first_answer_overdue: true } });
      world.moveClock(hourMs);
      expect(await read(id)).toMatchObject({ overdue: true, service_level: { resolution_overdue: true } });
      for (const to of ['in_progress', 'resolved']) await move(id, to).expect(200);
      await comment(id, agent);
      const { service_level: level, overdue: isOverdue } = await read(id);
      expect(level).toMatchObject({
        first_answered_at: answered.service_level.first_answered_at,
        resolution_overdue: true,
      });
      expect(isOverdue).toBe(false);
      world.moveClock(-2 * hourMs - 1_000);
    });

    test('reopening a complaint restarts its resolution clock', async () => {
      const id = await file(complainant, 'Water');
      for (const to of ['in_progress', 'resolved']) await move(id, to).expect(200);
      world.moveClock(10 * hourMs);
      await move(id, 'reopened', complainant, { reason: 'Wet again' }).expect(200);
      expect(await read(id)).toMatchObject({ overdue: false, service_level: { resolved_at: null } });
      world.moveClock(2 * hourMs + 1_000);
      expect(await read(id)).toMatchObject({ overdue: true });
      world.moveClock(-12 * hourMs - 1_000);
    });

    test('an edited complaint uses its new category’s targets, from the same start', async () => {
      const id = await file();
      expect((await read(id)).service_level.resolution_due_at).toBeNull();
      await world.call(agent, 'PATCH', `/v1/complaints/${id}`, { body: { category: 'Water' } }).expect(200);
      const { created_at: filed, service_level: level } = await read(id);
      expect(Date.parse(level.resolution_due_at) - Date.parse(filed)).toBe(2 * hourMs);
    });
  });

  describe('statistics', () => {
    test('the statistics match the tenant’s complaints after all tests above', async () => {
      await world.as(admin, async (trx) => {
        const tables = ['statistics_by_status', 'statistics_by_age'] as const;
        for (const [index, table] of tables.entries()) {
          const kept = await trx.selectFrom(table).selectAll().where('complaints', '<>', 0).execute();
          const source = rebuildStatistics[index]?.replace(/^insert into \w+/, '') ?? '';
          const { rows: counted } = await sql.raw<object>(source).execute(trx);
          const values = (rows: readonly object[]) => rows.map((row) => JSON.stringify(Object.values(row))).sort();
          expect(values(kept)).toEqual(values(counted));
          expect(kept).not.toEqual([]);
        }
      });
    });

    test('the statistics contain statuses, categories, ages and response times', async () => {
      const before = await statistics(stranger);
      await world.call(stranger, 'POST', '/v1/categories', { body: { name: 'Water' } }).expect(201);
      const id = await file(stranger, 'Water');
      expect(await statistics(stranger)).toEqual({
        ...before,
        complaints: before.complaints + 1,
        active: before.active + 1,
        by_status: [{ status: 'open', complaints: before.active + 1 }],
        by_category: expect.arrayContaining([
          { category_id: expect.any(String), category: 'Water', complaints: 1, active: 1 },
        ]),
        by_age: [{ from_days: 0, to_days: 1, complaints: before.active + 1 }, ...before.by_age.slice(1)],
      });
      world.moveClock(5 * hourMs);
      for (const to of ['in_progress', 'resolved']) await move(id, to, stranger).expect(200);
      const after = await statistics(stranger);
      expect(after.active).toBe(before.active);
      for (const kind of ['first_answer', 'resolution']) {
        const [month] = after[kind];
        expect(month).toMatchObject({ complaints: 1, with_target: 0, on_time: 0 });
        expect(Math.abs(month.mean_seconds - 18_000)).toBeLessThan(60);
        expect(month.classes.filter(({ complaints }: { complaints: number }) => complaints > 0)).toEqual([
          { from_seconds: 14_400, to_seconds: 86_400, complaints: 1 },
        ]);
      }
      world.moveClock(-5 * hourMs);
    });

    test('the statistics are only for agents and admins', async () => {
      await world.call(complainant, 'GET', '/v1/complaints/statistics').expect(403);
      await world.call(agent, 'GET', '/v1/complaints/statistics?months=0').expect(422);
    });
  });
});
