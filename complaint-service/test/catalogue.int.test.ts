import { randomUUID } from 'node:crypto';
import type { IdentityClaims } from '@countersign/identity';
import { databases } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { complaintsWorld, people } from './world.ts';

const { complainant, agent, secondAgent, admin, stranger } = people;

describe.each(databases())('the catalogue and members of a tenant on %s', (_kind, database) => {
  let world: Awaited<ReturnType<typeof complaintsWorld>>;
  beforeAll(async () => {
    world = await complaintsWorld(database, undefined, { categories: [] });
  });
  afterAll(() => world.close());
  const post = (who: typeof agent, path: string, body: unknown) => world.call(who, 'POST', path, { body });
  const patch = (who: typeof agent, path: string, body: unknown) => world.call(who, 'PATCH', path, { body });
  const file = (category: string, who = complainant) =>
    post(who, '/v1/complaints', { title: 'Lamp', description: 'Dark', category });
  const categories = async (who = complainant) => {
    const { body } = await world.call(who, 'GET', '/v1/categories').expect(200);
    return body.items as { id: string; name: string; active: boolean }[];
  };

  test('an admin adds a category, and complaints get its team and targets', async () => {
    const team = await post(admin, '/v1/teams', { name: 'Lights', members: [agent.userId] }).expect(201);
    expect(team.body.members).toEqual([{ user_id: agent.userId, name: null }]);
    const wanted = {
      name: 'Street lights',
      description: 'Lamps',
      team_id: team.body.id,
      first_answer_minutes: 60,
      resolution_minutes: 600,
    };
    const { body: category } = await post(admin, '/v1/categories', wanted).expect(201);
    expect(category).toMatchObject({ ...wanted, active: true });
    for (const named of [category.id, 'Street lights', ' STREET  lights ']) {
      const { body } = await file(named).expect(201);
      expect(body).toMatchObject({ category: 'Street lights', category_id: category.id, team_id: team.body.id });
      const filed = Date.parse(body.created_at);
      expect(Date.parse(body.service_level.first_answer_due_at)).toBe(filed + 3_600_000);
      expect(Date.parse(body.service_level.resolution_due_at)).toBe(filed + 36_000_000);
    }
    expect((await categories()).filter(({ name }) => name === 'Street lights')).toHaveLength(1);
  });

  test('an unknown name is refused, unless the catalogue is open and an agent or admin uses it', async () => {
    expect((await world.call(agent, 'GET', '/v1/complaint-settings').expect(200)).body.open_catalogue).toBe(false);
    const before = await world.rows();
    for (const who of [complainant, agent, admin]) {
      expect((await file('Graffiti', who).expect(422)).body).toMatchObject({
        code: 'unknown_category',
        errors: [{ path: 'category' }],
      });
    }
    expect(await world.rows()).toEqual(before);
    await patch(admin, '/v1/complaint-settings', { open_catalogue: true }).expect(200);
    await file('Graffiti').expect(422);
    const answers = await Promise.all([file('Graffiti', agent), file('graffiti', admin)]);
    expect(answers.map(({ status }) => status)).toEqual([201, 201]);
    expect(new Set(answers.map(({ body }) => body.category_id)).size).toBe(1);
    await file('graffiti').expect(201);
    expect(await categories(stranger)).toEqual([]);
    await patch(admin, '/v1/complaint-settings', { open_catalogue: false }).expect(200);
  });

  test('the database does not let a complainant add a category', async () => {
    const row = { tenant_id: complainant.tenantId, name: 'Mine', name_key: 'mine', revision: randomUUID() };
    const at = new Date();
    const insert = (who: typeof agent) =>
      world.as(who, (trx) =>
        trx
          .insertInto('categories')
          .values({ ...row, id: randomUUID(), created_at: at, updated_at: at })
          .execute(),
      );
    await expect(insert(complainant)).rejects.toThrow(/row-level security/);
    await insert(agent);
  });

  test('an inactive category cannot be used for new complaints', async () => {
    const { body } = await post(admin, '/v1/categories', { name: 'Old' }).expect(201);
    await file('Old').expect(201);
    await patch(admin, `/v1/categories/${body.id}`, { active: false }).expect(200);
    await file('Old').expect(422);
    await file(body.id).expect(422);
    await patch(admin, '/v1/complaint-settings', { open_catalogue: true }).expect(200);
    // An admin deactivated the category, and using its name does not activate it.
    await file('old', agent).expect(422);
  });

  test('names are unique regardless of spelling, and a change requires the current version', async () => {
    await post(admin, '/v1/categories', { name: 'Bins' }).expect(201);
    expect((await post(admin, '/v1/categories', { name: 'ＢＩＮＳ' }).expect(409)).body.code).toBe('name_taken');
    const other = await post(admin, '/v1/categories', { name: 'Waste' }).expect(201);
    const path = `/v1/categories/${other.body.id}`;
    expect((await patch(admin, path, { name: 'bins' }).expect(409)).body.code).toBe('name_taken');
    await patch(admin, path, { resolution_minutes: 5 }).expect(200);
    const stale = { body: { name: 'x' }, headers: { 'if-match': other.headers.etag ?? '' } };
    await world.call(admin, 'PATCH', path, stale).expect(412);
    await post(admin, '/v1/teams', { name: 'Bin team' }).expect(201);
    await post(admin, '/v1/teams', { name: 'BIN TEAM' }).expect(409);
  });

  test.each([
    ['POST', '/v1/categories', { name: 'Mine' }],
    ['PATCH', '/v1/categories/0197c2a0-0000-7000-8000-000000000000', { name: 'Mine' }],
    ['POST', '/v1/teams', { name: 'Mine' }],
    ['PATCH', '/v1/teams/0197c2a0-0000-7000-8000-000000000000', { name: 'Mine' }],
    ['PATCH', '/v1/complaint-settings', { open_catalogue: false }],
  ])('only an admin can %s %s', async (method, path, body) => {
    const before = await world.rows();
    for (const who of [complainant, agent]) {
      expect((await world.call(who, method, path, { body }).expect(403)).body.code).toBe('insufficient_role');
    }
    expect(await world.rows()).toEqual(before);
  });

  test('an admin of another tenant cannot change a category or team', async () => {
    const category = await post(admin, '/v1/categories', { name: 'Parks' }).expect(201);
    const team = await post(admin, '/v1/teams', { name: 'Parks' }).expect(201);
    const before = await world.rows();
    await patch(stranger, `/v1/categories/${category.body.id}`, { name: 'Mine' }).expect(404);
    await patch(stranger, `/v1/teams/${team.body.id}`, { name: 'Mine' }).expect(404);
    const foreign = await post(stranger, '/v1/categories', { name: 'Parks', team_id: team.body.id }).expect(422);
    expect(foreign.body.code).toBe('unknown_team');
    await file(category.body.id, people.strangerComplainant).expect(422);
    expect((await world.rows())[0]).toEqual(before[0]);
  });

  test('a team consists of active agents, and a change replaces all members', async () => {
    const { body: team } = await post(admin, '/v1/teams', { name: 'Roads', members: [agent.userId] }).expect(201);
    const path = `/v1/teams/${team.id}`;
    for (const member of [complainant.userId, stranger.userId]) {
      expect((await patch(admin, path, { members: [member] }).expect(422)).body.code).toBe('unknown_assignee');
    }
    const { body } = await patch(admin, path, { members: [secondAgent.userId, secondAgent.userId] }).expect(200);
    expect(body).toMatchObject({ name: 'Roads', members: [{ user_id: secondAgent.userId }] });
    const { body: list } = await world.call(agent, 'GET', '/v1/teams').expect(200);
    expect(list.items).toContainEqual(body);
    await world.call(complainant, 'GET', '/v1/teams').expect(403);
  });

  describe('membership updates', () => {
    let sequence = 0;
    const target = '/internal/complaints/memberships';
    const sendUpdate = (
      who: typeof agent,
      change: object,
      claims: IdentityClaims = { kind: 'service', serviceId: 'auth-service' },
    ) => {
      sequence += 1;
      const update = {
        event_id: 'e',
        sequence,
        tenant_id: who.tenantId,
        user_id: who.userId,
        role: 'agent',
        status: 'active',
      };
      const body = JSON.stringify({ ...update, ...change });
      const signed = world.sign({ method: 'POST', target, body, claims, contentType: 'application/json' });
      return world.send('POST', target, { ...signed, 'content-type': 'application/json' }, body);
    };
    beforeAll(() => post(admin, '/v1/categories', { name: 'Roads' }).expect(201));
    const assigned = async (...path: string[]) => {
      const { body } = await file('Roads').expect(201);
      const assignTo = { assignee_id: secondAgent.userId };
      await post(admin, `/v1/complaints/${body.id}/assign`, assignTo).expect(200);
      for (const to of path)
        await post(admin, `/v1/complaints/${body.id}/transition`, { to, reason: 'Paved' }).expect(200);
      return body.id as string;
    };
    const read = async (id: string) => (await world.call(admin, 'GET', `/v1/complaints/${id}`).expect(200)).body;

    test('a membership update returns the active complaints of a disabled agent to the queue, and adds this to their history', async () => {
      const [waiting, started, resolved] = [
        await assigned(),
        await assigned('in_progress'),
        await assigned('in_progress', 'resolved'),
      ];
      expect((await sendUpdate(secondAgent, { status: 'disabled' }).expect(200)).body).toEqual({ applied: true });
      expect([await read(waiting), await read(started), await read(resolved)]).toMatchObject([
        { status: 'open', assignee_id: null },
        { status: 'open', assignee_id: null },
        { status: 'resolved', assignee_id: secondAgent.userId },
      ]);
      const { body: queue } = await world.call(agent, 'GET', '/v1/complaints?unassigned=true&limit=100').expect(200);
      expect(queue.items.map(({ id }: { id: string }) => id)).toEqual(expect.arrayContaining([waiting, started]));
      const { body: history } = await world.call(admin, 'GET', `/v1/complaints/${started}/history`).expect(200);
      expect(history.items.at(-1)).toMatchObject({
        action: 'unassigned',
        from: secondAgent.userId,
        to: null,
        actor_id: 'auth-service',
        actor_role: 'service',
        status: { from: 'in_progress', to: 'open' },
      });
      // The users-service may not have received the update yet. The complaint stays in the queue.
      const late = await post(admin, `/v1/complaints/${waiting}/assign`, { assignee_id: secondAgent.userId }).expect(
        422,
      );
      expect(late.body.code).toBe('unknown_assignee');
      // A resolved complaint returns to the queue when it is reopened, even by its complainant.
      const reopen = { to: 'reopened', reason: 'Dark again' };
      await post(complainant, `/v1/complaints/${resolved}/transition`, reopen).expect(200);
      expect(await read(resolved)).toMatchObject({ status: 'reopened', assignee_id: null });
    });

    test('a membership update that is older than the stored one changes nothing', async () => {
      const latest = sequence + 10;
      await sendUpdate(secondAgent, { sequence: latest }).expect(200);
      const id = await assigned();
      const older = await sendUpdate(secondAgent, { sequence: latest - 1, status: 'disabled' }).expect(200);
      expect(older.body).toEqual({ applied: false });
      expect(await read(id)).toMatchObject({ assignee_id: secondAgent.userId });
      sequence = latest;
      await sendUpdate(secondAgent, { role: 'complainant' }).expect(200);
      expect(await read(id)).toMatchObject({ status: 'open', assignee_id: null });
      await sendUpdate(secondAgent, {}).expect(200);
    });

    test('a membership update affects only the tenant that it names', async () => {
      const id = await assigned();
      await sendUpdate({ ...secondAgent, tenantId: stranger.tenantId }, { status: 'disabled' }).expect(200);
      expect(await read(id)).toMatchObject({ assignee_id: secondAgent.userId });
    });

    test.each<[string, IdentityClaims, string]>([
      ['another service', { kind: 'service', serviceId: 'users-service' }, 'not_the_source'],
      ['an admin', { kind: 'user', ...admin }, 'identity_not_allowed'],
      ['the gateway', { kind: 'gateway' }, 'identity_not_allowed'],
    ])('a membership update is not accepted from %s', async (_who, claims, code) => {
      const before = world.transactions();
      expect((await sendUpdate(secondAgent, {}, claims).expect(403)).body.code).toBe(code);
      expect(world.transactions()).toBe(before);
    });
  });
});
